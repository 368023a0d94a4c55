//! A broker that goes away, and a stream that is recreated.

use std::time::Duration;

use crypto_intel_testkit::{assert_same_set, small_topology};

use crate::{
    growth::Pace,
    harness::Replay as _,
    scenario::{Scenario, assert_exact, lasting, pass},
    stream::transfers_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_server_restarted() {
    let mut scenario = Scenario::start(301, 1, Pace::RESTLESS).await;
    let producer = scenario.producer();
    for _ in 0..4 {
        scenario.goes_on().await;
        scenario.broker.server.kill().unwrap();
        scenario.broker.server.start_again().await.unwrap();
    }
    scenario.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_server_down_for_a_minute() {
    // Slow enough that, when it comes back, the blocks above the final one are within `max_reorg_depth`.
    let mut scenario = Scenario::start(302, 1, Pace::RESTLESS).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    scenario.broker.server.kill().unwrap();
    pass(lasting()).await;
    scenario.broker.server.start_again().await.unwrap();
    scenario.goes_on().await;
    scenario.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_deleted_and_recreated() {
    let mut scenario = Scenario::start(303, 1, Pace::STEADY).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    // Until something is final.
    while scenario.height() < 45 {
        scenario.goes_on().await;
    }
    pass(Duration::from_secs(2)).await;
    let before = scenario.broker.replay().await;
    scenario.broker.nats.jetstream().delete_stream("EVM").await.unwrap();
    pass(Duration::from_secs(1)).await;
    small_topology().apply(&scenario.broker.nats, false).await.unwrap();
    scenario.goes_on().await;
    let mut blocks = scenario.stop_growth().await;
    scenario.chain.push_block(blocks.next_block()).unwrap();
    let after = scenario.caught_up().await;
    let first = *after.numbers().first().unwrap();
    let chain = scenario.chain.blocks();
    // The new stream is exact from its first block, which is above the final one, and together with the old one nothing
    // is missing.
    assert_exact(chain.iter().filter(|block| block.number >= first), &after);
    let everything: std::collections::BTreeSet<_> =
        before.transfers().union(&after.transfers()).copied().collect();
    assert_same_set(transfers_of(chain.iter().map(AsRef::as_ref)), everything);
    assert!(first > 1, "what is final is not published again");
    producer.stop().await;
}
