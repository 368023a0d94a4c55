//! Recorded blocks of Ethereum as live ones, as many as it has in an hour, and what `rules test` says of them: the example
//! of `docs/alerts.md`. It takes as long as it says, so it runs only when asked for.
//!
//! `CRYPTO_INTEL_BLOCK_SECONDS` is the time from block to block, Ethereum's own by default; `CRYPTO_INTEL_BLOCKS` how many.

use std::time::Duration;

use crypto_intel_alerts::DEFAULT_RULES;
use crypto_intel_nats::Bucket;
use crypto_intel_sandbox::{
    NodeOptions, ScriptedNode,
    node::{Relink, RelinkOptions, load_recorded, recorded_numbers},
};
use crypto_intel_schemas::{AssetPrice, Decimal};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{eventually, recorded_data};

use crate::bus::Bus;

/// Blocks with the transactions of today begin here.
const FIRST_NUMBER: u64 = 12_000_000;
/// What the prices of some assets are supposed to be.
const PRICES: [(&str, &str); 5] = [
    ("ethereum", "2600"),
    ("usd-coin", "1"),
    ("tether", "1"),
    ("dai", "1"),
    ("wrapped-bitcoin", "64000"),
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

async fn renew_prices(bus: &Bus) {
    let bucket = bus.broker.nats.kv(Bucket::Prices).await.unwrap();
    for (asset, price) in PRICES {
        let price = Decimal::parse(price).unwrap();
        let value = AssetPrice { price, at_us: now_us(), ..AssetPrice::default() };
        bucket.put(&AssetPrice::key(asset), serde_json::to_vec(&value).unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: for the example of the documentation"]
async fn an_hour_of_recorded_blocks_through_the_rules() {
    let Some(data) = recorded_data() else { return };
    let (blocks, interval) =
        (number("CRYPTO_INTEL_BLOCKS", 300), number("CRYPTO_INTEL_BLOCK_SECONDS", 12));
    let mut numbers = recorded_numbers(&data, "ethereum").unwrap();
    numbers.retain(|number| *number >= FIRST_NUMBER);
    let bodies = load_recorded(&data, "ethereum", &numbers).unwrap();
    let options = RelinkOptions { first_number: 24_000_000, ..RelinkOptions::default() };
    let mut chain = Relink::new(&bodies, &options).unwrap();
    let node = ScriptedNode::start(NodeOptions::default()).await.unwrap();
    let seconds_now = || u64::try_from(now_us() / 1_000_000).unwrap();
    node.push_block(chain.next_block_at(seconds_now())).unwrap();
    let bus = Bus::start(&format!(
        "[alerts]\nenabled = false\n[evm.chains.ethereum]\nstart = 24000000\nendpoints = [{{ url = \"{}\" }}]\n\
         check_header = false\ncheck_logs = \"off\"\ncheck_log_indexes = false\nenrich_tokens = false\n\
         balances = \"none\"\nstale_seconds = 3600\n",
        node.ws_url()
    ))
    .await;
    // Nothing of it may leave the stream.
    let jetstream = bus.broker.nats.jetstream();
    let mut config = jetstream.get_stream("EVM").await.unwrap().cached_info().config.clone();
    config.max_bytes = 2 << 30;
    jetstream.update_stream(config).await.unwrap();
    for (name, text) in DEFAULT_RULES {
        bus.write(&format!("rules/{name}"), text);
    }
    renew_prices(&bus).await;
    let mut process = bus.run("run.log");
    // The blocks' own pace is what is played: nothing is waited for.
    let mut clock = tokio::time::interval(Duration::from_secs(interval));
    clock.tick().await;
    for _ in 1..blocks {
        clock.tick().await;
        assert!(!process.has_ended(), "{}", bus.log("run.log"));
        renew_prices(&bus).await;
        node.push_block(chain.next_block_at(seconds_now())).unwrap();
    }
    eventually(async || {
        let markers = bus.broker.messages("EVM").await;
        markers.iter().filter(|it| it.subject == "evm.ethereum.block").count() as u64 == blocks
    })
    .await;
    let rules = bus.folder().join("rules");
    println!(
        "{blocks} blocks, {interval} s apart, of {} recorded ones: {numbers:?}",
        numbers.len()
    );
    println!("$ crypto-intel rules test --rules rules --since 1h --stream EVM");
    let since =
        ["rules", "test", "--rules", rules.to_str().unwrap(), "--since", "1h", "--stream", "EVM"];
    let text = bus.ends_with(0, &since);
    println!("{text}");
    assert!(text.contains("unlimited-approval"), "{text}");
}
