use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{BlockRef, Event, Reorg};
use crypto_intel_testkit::eventually;

use crate::{chain::Chain, harness::Servers};

async fn reorganised(depth: usize, in_one_go: bool) {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    let early = if in_one_go { None } else { Some(servers.persist("one").await) };
    chain.play(&servers.nats, 6, 8).await;
    if !in_one_go {
        servers.settled("EVM").await;
    }
    for batch in chain.reorganise(depth, 5) {
        chain.publish(&servers.nats, &batch).await;
    }
    let persist = match early {
        Some(persist) => persist,
        None => servers.persist("one").await,
    };
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(chain.dropped.len(), depth);
    let left =
        servers.number("SELECT count(*) FROM blocks WHERE NOT canonical AND incarnation = 2").await;
    assert_eq!(left, depth as i64, "a block that left keeps its row in blocks");
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_one_dropped_block_are_deleted() {
    reorganised(1, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_three_dropped_blocks_are_deleted() {
    reorganised(3, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_blocks_dropped_within_a_batch_are_never_written() {
    reorganised(3, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_comes_back_brings_its_rows_back() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 4).await;
    servers.settled("EVM").await;
    let mut returning = chain.clone();
    let mut block = returning.shrink();
    chain.publish(&servers.nats, &block).await;
    chain.dropped.clear();
    // Another block takes its place for a while; the tables must hold nothing of it in the end.
    let mut other = returning.clone();
    let interlude = other.grow(9);
    chain.publish(&servers.nats, &interlude).await;
    servers.settled("EVM").await;
    let retracted = other.shrink();
    chain.publish(&servers.nats, &retracted).await;
    block.iter_mut().for_each(|event| event.set_incarnation(3, 1));
    chain.publish(&servers.nats, &block).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    let incarnation: i64 =
        servers.number("SELECT max(incarnation)::bigint FROM blocks WHERE canonical").await;
    assert_eq!(incarnation, 3);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_cut_off_half_way_is_retracted_by_its_marker() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 2, 4).await;
    // The first part of a block above the batch limit; the rest never comes.
    let mut abandoned = chain.clone();
    let events = abandoned.grow(10);
    chain.publish(&servers.nats, &events[..6]).await;
    servers.settled("EVM").await;
    assert_eq!(servers.stored_transfers().await.len(), 14, "it is applied as it comes");
    let retraction = abandoned.shrink();
    chain.publish(&servers.nats, &retraction[..6]).await;
    chain.publish(&servers.nats, &retraction[retraction.len() - 1..]).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_height_is_without_a_block_during_a_reorg() {
    let servers = Servers::start().await;
    let persist = servers
        .persist_with(
            "one",
            crypto_intel_persist::Config { patience_ms: 600_000, ..Default::default() },
        )
        .await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 3, 4).await;
    servers.settled("EVM").await;
    let retraction = chain.shrink();
    chain.publish(&servers.nats, &retraction).await;
    // A price in another stream shows that time has passed and persist continues.
    let price = crypto_intel_schemas::Event::from(crypto_intel_schemas::Price::at("p", 1, 1));
    servers.nats.publish(OutMessage::new("market.price.x", price.encode())).await.unwrap();
    servers.settled("MARKET").await;
    eventually(async || {
        persist.metric("crypto_intel_persist_received_total", &[]) >= 9.0 * 3.0 + 9.0 + 1.0
    })
    .await;
    let heights = servers.number("SELECT count(*) FROM blocks WHERE canonical").await;
    assert_eq!(heights, 3, "the dropped block stays until another takes its place");
    chain.play(&servers.nats, 1, 2).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorg_stays_on_record_when_its_first_block_leaves_again() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 2, 3).await;
    let old = chain.shrink();
    chain.publish(&servers.nats, &old).await;
    let mut events = chain.grow(3);
    let first = chain.tip().unwrap();
    let reorg = Event::from(Reorg {
        chain: first.chain.clone(),
        block_number: first.block_number,
        block_hash: first.block_hash,
        block_time_us: first.block_time_us,
        depth: 1,
        ancestor: BlockRef { number: 1, hash: first.parent_hash },
        dropped: vec![BlockRef { number: 2, hash: old[0].block_fields().unwrap().block_hash }],
        ..Reorg::empty()
    });
    events.insert(events.len() - 1, reorg);
    chain.publish(&servers.nats, &events).await;
    // All in one batch: the block that the reorg names is never stored.
    let retraction = chain.shrink();
    chain.publish(&servers.nats, &retraction).await;
    chain.play(&servers.nats, 1, 3).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(servers.number("SELECT count(*) FROM reorgs WHERE depth = 1").await, 1);
    persist.stop().await;
}
