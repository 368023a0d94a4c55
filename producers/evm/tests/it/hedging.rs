//! In which order endpoints are asked, and how their contradictions are judged.

use std::time::{Duration, Instant};

use crypto_intel_evm::LogProof;
use crypto_intel_schemas::Event;
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::transfers_of,
};

const LATE: Duration = Duration::from_secs(30);
const BY_HASH: &str = "eth_getBlockByHash";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_at_the_head_is_overtaken_and_is_no_failure() {
    let (broker, primary) = (Broker::start().await, node().await);
    let second = node_of(primary.chain().clone()).await;
    let mut blocks = generator(71);
    push_new(&primary, &mut blocks, 3);
    let mut config = chain_config(&[primary.ws_url(), second.ws_url()]);
    config.request_timeout_ms = 2 * LATE.as_millis() as u64;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(primary.chain()).await;
    eventually(async || (second.head_subscriptions() > 0).then_some(())).await;
    primary.never_answer(BY_HASH, true);
    let (begun, asked) = (Instant::now(), primary.calls(BY_HASH));
    for _ in 0..3 {
        push_new(&primary, &mut blocks, 1);
        broker.at_head(primary.chain()).await;
    }
    assert!(begun.elapsed() < LATE, "the late answer is not waited for: {:?}", begun.elapsed());
    assert!(primary.calls(BY_HASH) <= asked + 1, "and it is not asked while it is late");
    assert!(producer.metric("crypto_intel_evm_hedged_requests_total", &["node1"]) >= 1.0);
    assert_eq!(producer.metric("crypto_intel_evm_request_failures_total", &["node0"]), 0.0);
    assert_eq!(producer.metric("crypto_intel_evm_endpoint_breaker_state", &["node0"]), 0.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_the_next_in_rank_is_asked_and_not_the_same_again() {
    let (broker, primary) = (Broker::start().await, node().await);
    let second = node_of(primary.chain().clone()).await;
    let third = node_of(primary.chain().clone()).await;
    let mut blocks = generator(72);
    push_new(&primary, &mut blocks, 3);
    let mut config = chain_config(&[primary.ws_url(), second.ws_url(), third.ws_url()]);
    config.breaker.failures = 1_000;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(primary.chain()).await;
    eventually(async || {
        (second.head_subscriptions() + third.head_subscriptions() > 1).then_some(())
    })
    .await;
    primary.answer_empty_receipts(true);
    let receipts = "eth_getBlockReceipts";
    let asked = primary.calls(receipts);
    push_new(&primary, &mut blocks, 1);
    broker.at_head(primary.chain()).await;
    assert!(primary.calls(receipts) <= asked + 1, "once");
    assert_eq!((second.calls(receipts), third.calls(receipts)), (1, 0));
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_endpoints_of_one_operator_are_one_voice() {
    let (broker, first) = (Broker::start().await, node().await);
    let second = node_of(first.chain().clone()).await;
    let honest = node_of(first.chain().clone()).await;
    let mut blocks = generator(73);
    push_new(&first, &mut blocks, 3);
    let urls = [first.ws_url(), second.http_url(), honest.ws_url()];
    let mut config = chain_config(&urls);
    config.check_logs = LogProof::Bloom;
    for endpoint in &mut config.endpoints[..2] {
        endpoint.operator = Some("provider".to_owned());
    }
    let producer = start_evm(&broker.nats, config);
    broker.at_head(first.chain()).await;
    for node in [&first, &second] {
        node.omit_last_logs(true);
    }
    honest.go_unavailable(true);
    push_new(&first, &mut blocks, 1);
    let untrue = "crypto_intel_evm_untrue_answers_total";
    eventually(async || {
        let often = |label| producer.metric(untrue, &[label]) >= 3.0;
        (often("node0") && often("node1")).then_some(())
    })
    .await;
    assert_eq!(broker.replay().await.markers.len(), 3, "one operator's word is not enough");
    honest.go_unavailable(false);
    let replayed = broker.at_head(first.chain()).await;
    assert_same_set(
        transfers_of(first.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    assert!(replayed.stack.iter().all(|marker| marker.unverified.is_empty()));
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_is_relaxed_only_after_every_endpoint_was_asked_strictly() {
    let (broker, first) = (Broker::start().await, node().await);
    let second = node_of(first.chain().clone()).await;
    let third = node_of(first.chain().clone()).await;
    let mut blocks = generator(74);
    push_new(&first, &mut blocks, 3);
    let mut config = chain_config(&[first.ws_url(), second.ws_url(), third.ws_url()]);
    config.check_logs = LogProof::Bloom;
    let producer = start_evm(&broker.nats, config);
    broker.at_head(first.chain()).await;
    eventually(async || (third.head_subscriptions() > 0).then_some(())).await;
    for node in [&first, &second] {
        node.omit_last_logs(true);
    }
    push_new(&first, &mut blocks, 3);
    let replayed = broker.at_head(first.chain()).await;
    assert!(replayed.stack.iter().all(|marker| marker.unverified.is_empty()), "the third is true");
    // If all fail a check alike, it is the chain's nature.
    third.omit_last_logs(true);
    push_new(&first, &mut blocks, 1);
    let replayed = broker.at_head(first.chain()).await;
    assert_eq!(replayed.stack.last().unwrap().unverified, ["bloom"]);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_say_how_far_each_operator_has_announced_the_branch() {
    let (broker, first) = (Broker::start().await, node().await);
    let second = node_of(first.chain().clone()).await;
    let third = node_of(first.chain().clone()).await;
    let mut blocks = generator(74);
    push_new(&first, &mut blocks, 3);
    let mut config = chain_config(&[first.ws_url(), second.ws_url(), third.ws_url()]);
    for (endpoint, operator) in config.endpoints.iter_mut().zip(["one", "one", "other"]) {
        endpoint.operator = Some(operator.to_owned());
    }
    let producer = start_evm(&broker.nats, config);
    broker.at_head(first.chain()).await;
    let marker = eventually(async || {
        push_new(&first, &mut blocks, 1);
        broker.at_head(first.chain()).await;
        let subject = format!("evm.{CHAIN}.block");
        let last = broker.nats.last_on_subject("EVM", &subject).await.unwrap()?;
        let Ok(Event::Block(marker)) = Event::decode(&last.payload) else { return None };
        // Whether the other operator's head came before the block was published is chance.
        (marker.announced.len() == 2).then_some(marker)
    })
    .await;
    assert_eq!(marker.announced[0], marker.block_number, "the operator that serves");
    assert!(marker.announced[1] <= marker.block_number, "{:?}", marker.announced);
    producer.stop().await;
}
