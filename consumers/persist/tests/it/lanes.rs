use crypto_intel_nats::Bucket;
use crypto_intel_persist::Config;
use crypto_intel_schemas::Event;
use crypto_intel_testkit::eventually;

use crate::{chain::Chain, harness::Servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_over_known_blocks_is_absorbed() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    let mut batches = Vec::new();
    for _ in 0..5 {
        let events = chain.grow(6);
        chain.publish(&servers.nats, &events).await;
        batches.push(events);
    }
    servers.settled("EVM").await;
    for events in &batches {
        chain.in_history().publish(&servers.nats, events).await;
    }
    servers.settled("HISTORY").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

/// Two blocks 3: one published live, then a repaired one from history, which wins.
async fn fork_over_both_lanes(live_comes_first: bool) {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 2, 3).await;
    let mut fork = chain.fork();
    chain.play(&servers.nats, 1, 7).await;
    let repaired = fork.grow(2);
    fork.in_history().publish(&servers.nats, &repaired).await;
    let lanes = if live_comes_first { ["EVM", "HISTORY"] } else { ["HISTORY", "EVM"] };
    for lane in lanes {
        let streams = Config::default().streams.into_iter().filter(|source| source.stream == lane);
        let config = Config { streams: streams.collect(), ..Config::default() };
        let persist = servers.persist_with(lane, config).await;
        servers.settled(lane).await;
        persist.stop().await;
    }
    servers.assert_stored(&[&fork]).await;
    assert_eq!(servers.number("SELECT count(*) FROM blocks").await, 4, "both hashes are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_hash_replaces_the_one_of_the_other_lane() {
    fork_over_both_lanes(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_hash_does_not_replace_the_one_of_the_other_lane() {
    fork_over_both_lanes(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partial_block_adds_rows_but_replaces_nothing() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    let mut events = chain.grow(5);
    let whole = events.clone();
    events.drain(..3);
    if let Some(Event::Block(marker)) = events.last_mut() {
        marker.partial = true;
    }
    chain.in_history().publish(&servers.nats, &events).await;
    servers.settled("HISTORY").await;
    assert_eq!(servers.stored_transfers().await.len(), 2);
    assert_eq!(servers.number("SELECT count(*) FROM blocks WHERE partial").await, 1);
    chain.publish(&servers.nats, &whole).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(servers.number("SELECT count(*) FROM blocks WHERE partial").await, 0);

    let mut stranger = Chain::new("base");
    stranger.grow(1);
    stranger.shrink();
    let mut other = stranger.grow(4);
    if let Some(Event::Block(marker)) = other.last_mut() {
        marker.partial = true;
    }
    stranger.in_history().publish(&servers.nats, &other).await;
    servers.settled("HISTORY").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_of_history_hear_how_far_it_is_stored() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base").in_history();
    chain.play(&servers.nats, 3, 4).await;
    servers.settled("HISTORY").await;
    let last = servers.nats.stream_state("HISTORY").await.unwrap().last_sequence;
    let cursors = servers.nats.kv(Bucket::Cursors).await.unwrap();
    eventually(async || {
        let entry = cursors.get("persist.HISTORY").await.unwrap()?;
        let told: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
        (told["sequence"] == last).then_some(())
    })
    .await;
    assert!(cursors.get("persist.EVM").await.unwrap().is_none(), "no producer waits for live");
    persist.stop().await;
}
