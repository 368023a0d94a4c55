//! The examples of clients.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use crypto_intel_api::LiveConfig;
use crypto_intel_schemas::Event;
use crypto_intel_testkit::{Broker, Need, available, eventually, python, within};
use tokio::process::Command;

use crate::{
    chain::{TestBlock, publish},
    server::Api,
};

/// The first Node that runs TypeScript as it is.
const NODE_OF_TYPESCRIPT: (u32, u32) = (22, 18);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/clients").join(name)
}

/// What an example prints of some blocks: the newest of the first one, and all of what comes after it subscribed.
async fn prints_large_transfers(run: impl AsyncFnOnce([String; 2]) -> anyhow::Result<String>) {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let early = [TestBlock::new("base", 1, 10).under(1)];
    publish(&broker, &early).await;
    eventually(async || api.metric("received_total", &["EVM"]) == 11.0).await;
    let arguments = [api.socket(), "16".to_owned()];
    let more = async {
        eventually(async || api.metric("subscriptions", &[]) == 1.0).await;
        publish(&broker, &[TestBlock::new("base", 2, 12).under(1)]).await;
    };
    let (printed, ()) = tokio::join!(within(run(arguments)), more);
    let printed = printed.unwrap();
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

#[tokio::test]
async fn the_python_example_prints_large_transfers() {
    let Some(python) = python(&["websockets"]) else { return };
    let script = example("python_live.py");
    prints_large_transfers(async |arguments| python.run_async(&script, &arguments).await).await;
}

/// A Node that runs TypeScript; the environment may name one.
fn node() -> anyhow::Result<PathBuf> {
    let program = std::env::var_os("NODE").map_or_else(|| PathBuf::from("node"), PathBuf::from);
    let output = std::process::Command::new(&program).arg("--version").output();
    let version = String::from_utf8(output.context("run node")?.stdout)?;
    let mut parts = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        bail!("read the version of node in {version:?}");
    };
    if (major, minor) < NODE_OF_TYPESCRIPT {
        bail!("node {major}.{minor} runs no TypeScript: name a newer one, 22.18 at least, in NODE");
    }
    Ok(program)
}

#[tokio::test]
async fn the_typescript_example_prints_large_transfers() {
    let Some(node) = available(Need::TypeScript, node()) else { return };
    prints_large_transfers(async |arguments| {
        let output = Command::new(node)
            .arg(example("live.ts"))
            .args(&arguments)
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    })
    .await;
}
