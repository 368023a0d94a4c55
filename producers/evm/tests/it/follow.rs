//! The normal case: blocks come, events are published, in order and complete.

use crypto_intel_evm::Start;
use crypto_intel_schemas::Kind;
use crypto_intel_testkit::{Broker, assert_same_set};

use crate::{
    harness::{Replay as _, chain_config, generator, node, push_new, start_evm},
    stream::transfers_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_arrive_in_order_and_whole() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(1);
    push_new(&node, &mut blocks, 40);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    // Now one by one, as heads.
    for _ in 0..10 {
        push_new(&node, &mut blocks, 1);
        broker.at_head(node.chain()).await;
    }
    let replayed = broker.replay().await;
    assert_eq!(replayed.numbers(), (1..=50).collect::<Vec<_>>());
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    assert_eq!(replayed.count(Kind::Erc20Transfer), 300);
    assert_eq!(replayed.count(Kind::NativeTransfer), 100);
    assert!(replayed.reorgs.is_empty());
    let published = "crypto_intel_evm_events_published_total";
    assert!((producer.metric(published, &["transfer.erc20"]) - 300.0).abs() < 0.5);
    assert!(producer.metric("crypto_intel_evm_heads_received_total", &["node0"]) >= 10.0);
    producer.until_reported(&["evm.testchain.head", "healthy: true"]).await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begins_at_the_block_after_the_final_one_or_at_a_number() {
    for (start, first) in [(Start::Latest, 21), (Start::Number(7), 7), (Start::Number(28), 28)] {
        let (broker, node) = (Broker::start().await, node().await);
        let mut blocks = generator(2);
        push_new(&node, &mut blocks, 30);
        node.set_finalized(20);
        node.set_safe(25);
        let mut config = chain_config(&[node.http_url()]);
        config.start = start;
        let producer = start_evm(&broker.nats, config);
        let replayed = broker.at_head(node.chain()).await;
        assert_eq!(replayed.numbers(), (first..=30).collect::<Vec<_>>(), "{start:?}");
        let top = replayed.stack.last().unwrap();
        assert_eq!((top.finalized_number, top.safe_number), (20, Some(25)));
        let told: Vec<u64> =
            replayed.finalized.iter().map(|event| event.finalized_number).collect();
        assert!(told.is_sorted() && told.last() == Some(&20), "{told:?}");
        for (_, marker) in &replayed.markers {
            assert!(marker.finalized_number <= marker.block_number, "nothing above what is linked");
        }
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_start_above_the_head() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(3);
    push_new(&node, &mut blocks, 5);
    let mut config = chain_config(&[node.ws_url()]);
    config.start = Start::Number(9);
    let producer = start_evm(&broker.nats, config);
    producer.until_reported(&["nothing published yet, head 5"]).await;
    push_new(&node, &mut blocks, 7);
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.numbers(), [9, 10, 11, 12]);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finality_travels_in_the_next_batch() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(4);
    push_new(&node, &mut blocks, 10);
    node.set_finalized(3);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    node.set_finalized(8);
    let moved = crypto_intel_testkit::eventually(async || {
        push_new(&node, &mut blocks, 1);
        let replayed = broker.at_head(node.chain()).await;
        replayed.finalized.iter().any(|event| event.finalized_number == 8).then_some(replayed)
    })
    .await;
    assert_eq!(moved.stack.last().unwrap().finalized_number, 8);
    let last = moved.finalized.last().unwrap();
    assert_eq!(last.finalized_number, 8);
    assert_eq!(last.finalized_hash, node.chain().block(8).map(|block| block.hash));
    producer.stop().await;
}

/// Two endpoints are on different branches, and one calls its own block final: the followed branch may still leave the
/// chain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_branch_calls_final_is_not_final_here() {
    let (broker, ours, other) = (Broker::start().await, node().await, node().await);
    let (mut blocks, mut others) = (generator(44), generator(44));
    push_new(&ours, &mut blocks, 10);
    push_new(&other, &mut others, 10);
    other.reorg(5, others.fork(5, 5)).unwrap();
    ours.set_finalized(3);
    other.set_finalized(3);
    let config = chain_config(&[ours.ws_url(), other.ws_url()]);
    let producer = start_evm(&broker.nats, config);
    broker.at_head(ours.chain()).await;
    ours.set_finalized(9);
    other.set_finalized(7);
    for _ in 0..5 {
        push_new(&ours, &mut blocks, 1);
        push_new(&other, &mut others, 1);
        let replayed = broker.at_head(ours.chain()).await;
        let finalized: Vec<u64> =
            replayed.stack.iter().map(|marker| marker.finalized_number).collect();
        assert!(finalized.iter().all(|finalized| *finalized < 7), "{finalized:?}");
    }
    // If both have the block, it is believed.
    other.set_finalized(4);
    crypto_intel_testkit::eventually(async || {
        push_new(&ours, &mut blocks, 1);
        push_new(&other, &mut others, 1);
        let replayed = broker.at_head(ours.chain()).await;
        (replayed.stack.last()?.finalized_number == 4).then_some(())
    })
    .await;
    producer.stop().await;
}
