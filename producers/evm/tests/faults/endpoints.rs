//! Endpoints that misbehave, while the chain grows and reorganises.

use std::time::{Duration, Instant};

use crypto_intel_evm::{ChainConfig, LogProof};
use crypto_intel_sandbox::{
    Chain, NodeBlock,
    node::{RateLimit, RateLimitForm},
};
use crypto_intel_schemas::B256;
use crypto_intel_testkit::eventually;

use crate::{
    growth::{Growth, Pace},
    harness::{chain_config, generator, node_of, start_evm},
    scenario::{Scenario, lasting, pass},
};

/// Anything slower is delayed by the faulty endpoint; generous, for a loaded machine.
const PROMPT: Duration = Duration::from_secs(10);
const CUT_INTERVAL: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websocket_cut_every_three_seconds() {
    let mut scenario = Scenario::start(101, 1, Pace::RESTLESS).await;
    let producer = scenario.producer();
    for _ in 0..5 {
        pass(CUT_INTERVAL).await;
        scenario.nodes[0].cut_connections();
    }
    scenario.ends_exact().await;
    assert!(producer.metric("crypto_intel_evm_reconnects_total", &["node0"]) >= 4.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_socket() {
    let mut scenario = Scenario::start(102, 1, Pace::RESTLESS).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    scenario.nodes[0].go_silent(true);
    pass(Duration::from_secs(4)).await;
    scenario.nodes[0].go_silent(false);
    scenario.goes_on().await;
    // Connected, but not even requests are answered.
    scenario.nodes[0].go_unresponsive(true);
    pass(Duration::from_secs(4)).await;
    scenario.nodes[0].go_unresponsive(false);
    scenario.ends_exact().await;
    assert!(producer.metric("crypto_intel_evm_reconnects_total", &["silent"]) >= 1.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lagging_primary() {
    let mut scenario = Scenario::start(103, 2, Pace::RESTLESS).await;
    let mut config = scenario.config();
    // A lagging endpoint is not waited for.
    config.reorg_confirm_seconds = 120;
    let producer = start_evm(&scenario.broker.nats, config);
    scenario.goes_on().await;
    scenario.nodes[0].freeze_head(true);
    // The second serves, also through reorganisations that the first cannot confirm.
    for _ in 0..3 {
        pass(lasting() / 3).await;
        let started = Instant::now();
        scenario.goes_on().await;
        assert!(started.elapsed() < PROMPT, "goes on after {:?}", started.elapsed());
    }
    scenario.nodes[0].freeze_head(false);
    scenario.goes_on().await;
    let replayed = scenario.ends_exact().await;
    assert!(!replayed.reorgs.is_empty());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_answers_empty_logs() {
    for by_logs in [false, true] {
        let mut scenario = Scenario::start(104, 2, Pace::RESTLESS).await;
        for node in &scenario.nodes {
            node.without_block_receipts(by_logs);
        }
        let producer = scenario.producer();
        scenario.nodes[0].answer_empty_logs(true);
        scenario.nodes[0].answer_empty_receipts(true);
        scenario.goes_on().await;
        scenario.goes_on().await;
        scenario.ends_exact().await;
        assert!(producer.metric("crypto_intel_evm_untrue_answers_total", &["node0"]) >= 1.0);
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_leaves_out_one_log_of_each_block() {
    for by_logs in [false, true] {
        let mut scenario = Scenario::start(114, 2, Pace::RESTLESS).await;
        for node in &scenario.nodes {
            node.without_block_receipts(by_logs);
        }
        scenario.nodes[0].omit_last_logs(true);
        let config = ChainConfig { check_logs: LogProof::Bloom, ..scenario.config() };
        let producer = start_evm(&scenario.broker.nats, config);
        scenario.goes_on().await;
        scenario.goes_on().await;
        scenario.ends_exact().await;
        assert!(producer.metric("crypto_intel_evm_untrue_answers_total", &["bloom"]) >= 1.0);
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_announces_blocks_far_ahead_that_do_not_exist() {
    let mut scenario = Scenario::start(115, 2, Pace::RESTLESS).await;
    let config = ChainConfig { finality_tags: false, finality_depth: 12, ..scenario.config() };
    let producer = start_evm(&scenario.broker.nats, config);
    scenario.goes_on().await;
    for byte in 1..=3 {
        let head = scenario.chain.head().unwrap();
        let ahead = format!("{:#x}", head.number + 1_000_000);
        let mut header: serde_json::Value = serde_json::from_str(head.header_json()).unwrap();
        header["number"] = ahead.into();
        header["hash"] = format!("{:#x}", B256::repeat_byte(byte)).into();
        scenario.nodes[0].announce(NodeBlock::from_json(header.to_string(), "[]").unwrap());
        scenario.goes_on().await;
    }
    let replayed = scenario.ends_exact().await;
    assert!(replayed.jumps.is_empty(), "nothing is skipped for a head that does not exist");
    // What was final under a higher head stays final when a reorganisation ends below that head.
    let mut highest = 0;
    for (_, marker) in &replayed.markers {
        highest = highest.max(marker.block_number);
        let depth = highest.saturating_sub(marker.finalized_number);
        assert!(depth >= 12 || marker.finalized_number == 0, "{marker:?}");
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_for_a_minute_with_a_fallback() {
    let mut scenario = Scenario::start(105, 2, Pace::RESTLESS).await;
    let mut config = scenario.config();
    config.endpoints[0].url = crypto_intel_service::Secret::new(scenario.nodes[0].http_url());
    let producer = start_evm(&scenario.broker.nats, config);
    scenario.goes_on().await;
    scenario.nodes[0].rate_limit(RateLimit {
        requests: u64::MAX,
        form: RateLimitForm::Http,
        retry_after_seconds: 1,
    });
    for _ in 0..3 {
        pass(lasting() / 3).await;
        scenario.goes_on().await;
    }
    scenario.nodes[0].rate_limit(RateLimit {
        requests: 0,
        form: RateLimitForm::Http,
        retry_after_seconds: 1,
    });
    scenario.ends_exact().await;
    assert!(producer.metric("crypto_intel_evm_request_failures_total", &["rate_limited"]) >= 1.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_for_a_minute_on_the_only_endpoint() {
    let mut scenario = Scenario::start(106, 1, Pace::RESTLESS).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    let limit =
        |requests| RateLimit { requests, form: RateLimitForm::JsonRpc, retry_after_seconds: 1 };
    scenario.nodes[0].rate_limit(limit(u64::MAX));
    pass(lasting()).await;
    scenario.nodes[0].rate_limit(limit(0));
    scenario.goes_on().await;
    scenario.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_frames() {
    let mut scenario = Scenario::start(107, 1, Pace::RESTLESS).await;
    let producer = scenario.producer();
    scenario.goes_on().await;
    let odd_head = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0xffffffffffffffff"}}}"#;
    for text in [None, Some("not json"), Some("[]"), Some(odd_head), Some("\u{0}\u{0}")] {
        scenario.nodes[0].malformed_frame(text);
        scenario.goes_on().await;
    }
    scenario.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_on_the_wrong_chain() {
    let mut scenario = Scenario::start(108, 2, Pace::RESTLESS).await;
    // It has other blocks at the same heights.
    let foreign = Chain::new();
    let growth = Growth::start(&foreign, generator(999), Pace::STEADY);
    let stranger = node_of(foreign).await;
    stranger.wrong_chain_id(Some(5));
    let mut urls = scenario.urls();
    urls.insert(0, stranger.ws_url());
    let producer = start_evm(&scenario.broker.nats, chain_config(&urls));
    scenario.goes_on().await;
    // Another one is on the wrong chain from its next connection on.
    scenario.nodes[0].wrong_chain_id(Some(6));
    scenario.nodes[0].cut_connections();
    scenario.goes_on().await;
    eventually(async || {
        producer.metric("crypto_intel_evm_reconnects_total", &["wrong_chain"]) >= 2.0
    })
    .await;
    scenario.goes_on().await;
    scenario.ends_exact().await;
    drop(growth.stop().await);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_disagree_about_the_head_for_a_minute() {
    let pace = Pace { interval: Duration::from_millis(700), reorg_every: 0 };
    let mut scenario = Scenario::start(109, 1, pace).await;
    // The other endpoint has the same first blocks, and different ones after them.
    let other_chain = Chain::new();
    let mut other_blocks = generator(109);
    for _ in 0..5 {
        other_chain.push_block(other_blocks.next_block()).unwrap();
    }
    other_chain.reorg(2, other_blocks.fork(2, 3)).unwrap();
    let other_growth = Growth::start(&other_chain, other_blocks, pace);
    let other = node_of(other_chain.clone()).await;
    let mut config = chain_config(&[scenario.nodes[0].ws_url(), other.ws_url()]);
    config.finality_tags = false;
    config.finality_depth = 120;
    let producer = start_evm(&scenario.broker.nats, config);
    scenario.goes_on().await;
    for _ in 0..3 {
        pass(lasting() / 6).await;
        // First only the other branch is available, then the first one again.
        scenario.nodes[0].go_unavailable(true);
        pass(lasting() / 6).await;
        scenario.nodes[0].go_unavailable(false);
    }
    scenario.nodes[0].go_unavailable(false);
    drop(other_growth.stop().await);
    let replayed = scenario.ends_exact().await;
    assert!(!replayed.reorgs.is_empty(), "the other branch was followed for a while");
    producer.stop().await;
}
