//! A broker that goes away, and a stream that is made anew.

use std::time::Duration;

use crypto_intel_nats::Topology;
use crypto_intel_testkit::assert_same_set;

use crate::{
    growth::Pace,
    stream::transfers_of,
    world::{World, assert_exact, lasting, pass},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_server_restarted() {
    let mut world = World::start(301, 1, Pace::RESTLESS).await;
    let producer = world.producer();
    for _ in 0..4 {
        world.goes_on().await;
        world.broker.server.kill().unwrap();
        world.broker.server.start_again().await.unwrap();
    }
    world.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_server_down_for_a_minute() {
    // Slow enough that what is above the final block when it comes back is not deeper than allowed.
    let mut world = World::start(302, 1, Pace::RESTLESS).await;
    let producer = world.producer();
    world.goes_on().await;
    world.broker.server.kill().unwrap();
    pass(lasting()).await;
    world.broker.server.start_again().await.unwrap();
    world.goes_on().await;
    world.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_deleted_and_made_anew() {
    let mut world = World::start(303, 1, Pace::STEADY).await;
    let producer = world.producer();
    world.goes_on().await;
    // Until something is final.
    while world.height() < 45 {
        world.goes_on().await;
    }
    pass(Duration::from_secs(2)).await;
    let before = world.broker.replay().await;
    world.broker.nats.jetstream().delete_stream("EVM").await.unwrap();
    pass(Duration::from_secs(1)).await;
    Topology::embedded().unwrap().apply(&world.broker.nats, false).await.unwrap();
    world.goes_on().await;
    let mut blocks = world.stop_growth().await;
    world.chain.push_block(blocks.next_block()).unwrap();
    let after = world.caught_up().await;
    let first = *after.numbers().first().unwrap();
    let chain = world.chain.blocks();
    // The new stream is exact from where it begins, which is above what was final, and together
    // with what was read from the old one nothing is missing.
    assert_exact(chain.iter().filter(|block| block.number >= first), &after);
    let everything: std::collections::BTreeSet<_> =
        before.transfers().union(&after.transfers()).copied().collect();
    assert_same_set(transfers_of(chain.iter().map(AsRef::as_ref)), everything);
    assert!(first > 1, "what is final is not published again");
    producer.stop().await;
}
