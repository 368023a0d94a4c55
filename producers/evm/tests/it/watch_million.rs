//! A watch-list of a million addresses on a real server: what docs/watching.md says of it.

use std::{collections::BTreeMap, time::Instant};

use crypto_intel_evm::Watchlist;
use crypto_intel_nats::{StreamOverride, Topology, TopologyConfig};
use crypto_intel_schemas::{Address, WatchChain, WatchEntry, Watched};
use crypto_intel_testkit::{Broker, eventually};

use crate::harness::{CHAIN, Replay as _, chain_config, generator, node, push_new, start_evm};

const ENTRIES: u64 = 1_000_000;
const BUCKET_BYTES: u64 = 512 << 20;
/// What the documentation promises.
const MAX_BYTES: u64 = 250_000_000;
const MAX_MEMORY_MIB: u64 = 700;

/// Resident memory of this process, MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

fn entry(number: u64) -> Watched {
    let address = Address::from_word(alloy_primitives::keccak256(number.to_be_bytes()));
    let entry = WatchEntry {
        label: Some(format!("customer {number}")),
        tags: vec!["customer".to_owned()],
        group: Some("customers".to_owned()),
        ..WatchEntry::default()
    };
    Watched { chain: WatchChain::All, address: address.into(), entry }
}

async fn broker_with(bytes: u64) -> Broker {
    let broker = Broker::start().await;
    let limit = StreamOverride { max_bytes: Some(bytes), ..StreamOverride::default() };
    let streams = BTreeMap::from([("KV_watchlist".to_owned(), limit)]);
    let mut config = TopologyConfig { replicas: None, ..TopologyConfig::default() };
    config.streams.extend(streams);
    let topology = Topology::embedded().unwrap().with_config(&config).unwrap();
    // Only the bucket matters: the others are as small as they were.
    let _ = topology.apply(&broker.nats, true).await;
    assert_eq!(broker.nats.stream_state("KV_watchlist").await.unwrap().max_bytes, Some(bytes));
    broker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_full_says_what_to_raise_and_keeps_what_is_there() {
    let broker = broker_with(16 << 10).await;
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let refused = list.add_all((0..300).map(entry).collect()).await.unwrap_err();
    let text = format!("{refused:#}");
    for part in
        ["bucket watchlist is full", "streams.streams.KV_watchlist.max_bytes", "streams apply"]
    {
        assert!(text.contains(part), "{text}");
    }
    let kept = list.list().await.unwrap().len();
    assert!((20..200).contains(&kept), "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a million entries take minutes: `--run-ignored only`, when the watch-list or its bucket changes"]
async fn a_million_addresses_fit_and_a_producer_starts_with_them() {
    let broker = broker_with(BUCKET_BYTES).await;
    let list = Watchlist::open(&broker.nats).await.unwrap();
    let begin = Instant::now();
    let added = list.add_all((0..ENTRIES).map(entry).collect()).await.unwrap();
    assert_eq!(added.new, ENTRIES);
    let state = broker.nats.stream_state("KV_watchlist").await.unwrap();
    println!("added in {:.1?}; the bucket has {:.1} MB", begin.elapsed(), state.bytes as f64 / 1e6);
    assert!(state.bytes < MAX_BYTES, "{} bytes", state.bytes);

    let node = node().await;
    let mut blocks = generator(7);
    push_new(&node, &mut blocks, 1);
    let (before, begin) = (memory(), Instant::now());
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    eventually(async || {
        (producer.metric("crypto_intel_evm_watched_addresses", &["all"]) as u64 == ENTRIES)
            .then_some(())
    })
    .await;
    broker.at_head(node.chain()).await;
    let more = memory().saturating_sub(before);
    println!("the first block of {CHAIN} after {:.1?}; {more} MiB of memory", begin.elapsed());
    assert!(more < MAX_MEMORY_MIB, "{more} MiB");
    producer.stop().await;
}
