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
    harness::{PATIENCE, Producer, chain_config, generator, node_of},
    world::{World, lasting, pass},
};

/// What takes longer is held up by the faulty endpoint; on a loaded machine.
const PROMPT: Duration = Duration::from_secs(10);
const CUT_EVERY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websocket_cut_every_three_seconds() {
    let mut world = World::start(101, 1, Pace::RESTLESS).await;
    let producer = world.producer();
    for _ in 0..5 {
        pass(CUT_EVERY).await;
        world.nodes[0].cut_connections();
    }
    world.ends_exact().await;
    assert!(producer.metric("crypto_intel_evm_reconnects_total", "node0") >= 4.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_socket() {
    let mut world = World::start(102, 1, Pace::RESTLESS).await;
    let producer = world.producer();
    world.goes_on().await;
    world.nodes[0].go_silent(true);
    pass(Duration::from_secs(4)).await;
    world.nodes[0].go_silent(false);
    world.goes_on().await;
    // Connected, but not even requests are answered.
    world.nodes[0].go_unresponsive(true);
    pass(Duration::from_secs(4)).await;
    world.nodes[0].go_unresponsive(false);
    world.ends_exact().await;
    assert!(producer.metric("crypto_intel_evm_reconnects_total", "silent") >= 1.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lagging_primary() {
    let mut world = World::start(103, 2, Pace::RESTLESS).await;
    let mut config = world.config();
    // Nobody waits for the word of one that lags.
    config.reorg_confirm_seconds = 120;
    let producer = Producer::start(&world.broker.nats, config);
    world.goes_on().await;
    world.nodes[0].freeze_head(true);
    // The second serves, also through reorganisations that the first cannot confirm.
    for _ in 0..3 {
        pass(lasting() / 3).await;
        let started = Instant::now();
        world.goes_on().await;
        assert!(started.elapsed() < PROMPT, "goes on after {:?}", started.elapsed());
    }
    world.nodes[0].freeze_head(false);
    world.goes_on().await;
    let replayed = world.ends_exact().await;
    assert!(!replayed.reorgs.is_empty());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_answers_empty_logs() {
    for by_logs in [false, true] {
        let mut world = World::start(104, 2, Pace::RESTLESS).await;
        for node in &world.nodes {
            node.without_block_receipts(by_logs);
        }
        let producer = world.producer();
        world.nodes[0].answer_empty_logs(true);
        world.nodes[0].answer_empty_receipts(true);
        world.goes_on().await;
        world.goes_on().await;
        world.ends_exact().await;
        assert!(producer.metric("crypto_intel_evm_untrue_answers_total", "node0") >= 1.0);
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_leaves_out_one_log_of_each_block() {
    for by_logs in [false, true] {
        let mut world = World::start(114, 2, Pace::RESTLESS).await;
        for node in &world.nodes {
            node.without_block_receipts(by_logs);
        }
        world.nodes[0].omit_last_logs(true);
        let config = ChainConfig { check_logs: LogProof::Bloom, ..world.config() };
        let producer = Producer::start(&world.broker.nats, config);
        world.goes_on().await;
        world.goes_on().await;
        world.ends_exact().await;
        assert!(producer.metric("crypto_intel_evm_untrue_answers_total", "bloom") >= 1.0);
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_that_announces_blocks_far_ahead_that_nobody_has() {
    let mut world = World::start(115, 2, Pace::RESTLESS).await;
    let config = ChainConfig { finality_tags: false, finality_depth: 12, ..world.config() };
    let producer = Producer::start(&world.broker.nats, config);
    world.goes_on().await;
    for byte in 1..=3 {
        let head = world.chain.head().unwrap();
        let ahead = format!("{:#x}", head.number + 1_000_000);
        let mut header: serde_json::Value = serde_json::from_str(head.header_json()).unwrap();
        header["number"] = ahead.into();
        header["hash"] = format!("{:#x}", B256::repeat_byte(byte)).into();
        world.nodes[0].announce(NodeBlock::from_json(header.to_string(), "[]").unwrap());
        world.goes_on().await;
    }
    let replayed = world.ends_exact().await;
    assert!(replayed.jumps.is_empty(), "nothing is left out for a head that nobody has");
    for (_, marker) in &replayed.markers {
        let depth = marker.block_number.saturating_sub(marker.finalized_number);
        assert!(depth >= 12 || marker.finalized_number == 0, "{marker:?}");
    }
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_for_a_minute_with_a_fallback() {
    let mut world = World::start(105, 2, Pace::RESTLESS).await;
    let mut config = world.config();
    config.endpoints[0].url = crypto_intel_service::Secret::new(world.nodes[0].http_url());
    let producer = Producer::start(&world.broker.nats, config);
    world.goes_on().await;
    world.nodes[0].rate_limit(RateLimit {
        requests: u64::MAX,
        form: RateLimitForm::Http,
        retry_after_seconds: 1,
    });
    for _ in 0..3 {
        pass(lasting() / 3).await;
        world.goes_on().await;
    }
    world.nodes[0].rate_limit(RateLimit {
        requests: 0,
        form: RateLimitForm::Http,
        retry_after_seconds: 1,
    });
    world.ends_exact().await;
    assert!(producer.metric("crypto_intel_evm_request_failures_total", "rate_limited") >= 1.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_for_a_minute_on_the_only_endpoint() {
    let mut world = World::start(106, 1, Pace::RESTLESS).await;
    let producer = world.producer();
    world.goes_on().await;
    let limit =
        |requests| RateLimit { requests, form: RateLimitForm::JsonRpc, retry_after_seconds: 1 };
    world.nodes[0].rate_limit(limit(u64::MAX));
    pass(lasting()).await;
    world.nodes[0].rate_limit(limit(0));
    world.goes_on().await;
    world.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_frames() {
    let mut world = World::start(107, 1, Pace::RESTLESS).await;
    let producer = world.producer();
    world.goes_on().await;
    let odd_head = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"0xffffffffffffffff"}}}"#;
    for text in [None, Some("not json"), Some("[]"), Some(odd_head), Some("\u{0}\u{0}")] {
        world.nodes[0].malformed_frame(text);
        world.goes_on().await;
    }
    world.ends_exact().await;
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoint_on_the_wrong_chain() {
    let mut world = World::start(108, 2, Pace::RESTLESS).await;
    // It has blocks of its own at the same heights.
    let foreign = Chain::new();
    let growth = Growth::start(&foreign, generator(999), Pace::STEADY);
    let stranger = node_of(foreign).await;
    stranger.wrong_chain_id(Some(5));
    let mut urls = world.urls();
    urls.insert(0, stranger.ws_url());
    let producer = Producer::start(&world.broker.nats, chain_config(&urls));
    world.goes_on().await;
    // Another one is on the wrong chain from its next connection on.
    world.nodes[0].wrong_chain_id(Some(6));
    world.nodes[0].cut_connections();
    world.goes_on().await;
    eventually(PATIENCE, async || {
        producer.metric("crypto_intel_evm_reconnects_total", "wrong_chain") >= 2.0
    })
    .await;
    world.goes_on().await;
    world.ends_exact().await;
    drop(growth.stop().await);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_disagree_about_the_head_for_a_minute() {
    let pace = Pace { interval: Duration::from_millis(700), reorg_every: 0 };
    let mut world = World::start(109, 1, pace).await;
    // The other endpoint has the first blocks and goes on with others.
    let other_chain = Chain::new();
    let mut other_blocks = generator(109);
    for _ in 0..5 {
        other_chain.push_block(other_blocks.next_block()).unwrap();
    }
    other_chain.reorg(2, other_blocks.fork(2, 3)).unwrap();
    let other_growth = Growth::start(&other_chain, other_blocks, pace);
    let other = node_of(other_chain.clone()).await;
    let mut config = chain_config(&[world.nodes[0].ws_url(), other.ws_url()]);
    config.finality_tags = false;
    config.finality_depth = 120;
    let producer = Producer::start(&world.broker.nats, config);
    world.goes_on().await;
    for _ in 0..3 {
        pass(lasting() / 6).await;
        // Now the other branch is all there is, and then the first is there again.
        world.nodes[0].go_unavailable(true);
        pass(lasting() / 6).await;
        world.nodes[0].go_unavailable(false);
    }
    world.nodes[0].go_unavailable(false);
    drop(other_growth.stop().await);
    let replayed = world.ends_exact().await;
    assert!(!replayed.reorgs.is_empty(), "the other branch was followed for a while");
    producer.stop().await;
}
