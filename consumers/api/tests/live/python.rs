//! The example in Python.

use std::path::Path;

use crypto_intel_api::LiveConfig;
use crypto_intel_schemas::Event;
use crypto_intel_testkit::{Broker, eventually, python, within};

use crate::{
    chain::{TestBlock, publish},
    server::Api,
};

#[tokio::test]
async fn the_python_example_prints_large_transfers() {
    let Some(python) = python(&["websockets"]) else { return };
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let early = [TestBlock::new("base", 1, 10).under(1)];
    publish(&broker, &early).await;
    eventually(async || api.metric("received_total", &["EVM"]) == 11.0).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/clients/python_live.py");
    let arguments = [api.socket(), "16".to_owned()];
    let printing = tokio::spawn(async move { python.run_async(&script, &arguments).await });
    eventually(async || api.metric("subscriptions", &[]) == 1.0).await;
    publish(&broker, &[TestBlock::new("base", 2, 12).under(1)]).await;
    let printed = within(printing).await.unwrap().unwrap();
    let is_large = |event: &&Event| match event {
        Event::Erc20Transfer(transfer) => transfer.usd.as_ref().unwrap().to_f64() >= 100_000.0,
        _ => false,
    };
    let large = early[0].iter().filter(is_large).count();
    let of = |block: u64| {
        printed.lines().filter(|line| line.starts_with(&format!("done base {block} "))).count()
    };
    // The snapshot has ten at most; what comes after it is all.
    assert_eq!((of(1), of(2)), (large, 9), "{printed}");
}
