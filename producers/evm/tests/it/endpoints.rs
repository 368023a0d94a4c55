//! Endpoints that misbehave.

use crypto_intel_evm::{ChainConfig, EndpointConfig, EndpointError, check_endpoint};
use crypto_intel_sandbox::node::{RateLimit, RateLimitForm, SyntheticOptions};
use crypto_intel_schemas::Kind;
use crypto_intel_testkit::{Broker, assert_same_set, eventually};

use crate::{
    harness::{CHAIN_ID, Replay as _, chain_config, generator, node, node_of, push_new, start_evm},
    stream::transfers_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(31);
    push_new(&node, &mut blocks, 3);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    for round in 0..5 {
        push_new(&node, &mut blocks, 4);
        node.cut_connections();
        push_new(&node, &mut blocks, 4);
        if round % 2 == 0 {
            broker.at_head(node.chain()).await;
        }
    }
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.markers.len(), 43);
    assert_same_set(
        transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
        replayed.transfers(),
    );
    assert!(producer.metric("crypto_intel_evm_reconnects_total", &["node0"]) >= 1.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_socket_is_noticed() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(32);
    push_new(&node, &mut blocks, 3);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    node.go_silent(true);
    push_new(&node, &mut blocks, 5);
    broker.at_head(node.chain()).await;
    assert!(producer.metric("crypto_intel_evm_reconnects_total", &["silent"]) >= 1.0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_frames_lose_nothing() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(33);
    push_new(&node, &mut blocks, 3);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    broker.at_head(node.chain()).await;
    let odd_head = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":{"number":"x"}}}"#;
    for text in [None, Some("not json"), Some("{}"), Some("[]"), Some("null"), Some(odd_head)] {
        node.malformed_frame(text);
        push_new(&node, &mut blocks, 2);
        broker.at_head(node.chain()).await;
    }
    assert_eq!(broker.replay().await.markers.len(), 15);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_chain_is_refused_by_name_and_both_ids() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(34);
    push_new(&node, &mut blocks, 3);
    node.wrong_chain_id(Some(5));
    let mut config = chain_config(&[format!("{}/v2/very-secret-key", node.ws_url())]);
    config.endpoints[0].name = None;
    let host = node.ws_url().trim_start_matches("ws://").to_owned();
    let error = check_endpoint("testchain", &config, &config.endpoints[0]).await.unwrap_err();
    assert!(matches!(error, EndpointError::WrongChain { wanted: CHAIN_ID, found: 5, .. }));
    let producer = start_evm(&broker.nats, config);
    let report =
        producer.until_reported(&[&host, "serves chain id 5, but chain_id is 31337"]).await;
    assert!(!report.contains("very-secret-key") && !error.to_string().contains("secret"));
    assert!(broker.replay().await.markers.is_empty());
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_reports_the_head_of_an_endpoint() {
    let node = node().await;
    let mut blocks = generator(35);
    push_new(&node, &mut blocks, 3);
    for (url, websocket) in [(node.ws_url(), true), (node.http_url(), false)] {
        let config = ChainConfig { chain_id: CHAIN_ID, ..ChainConfig::default() };
        let report = check_endpoint("testchain", &config, &EndpointConfig::at(url)).await.unwrap();
        assert_eq!((report.chain_id, report.head, report.websocket), (CHAIN_ID, 3, websocket));
    }
    let unreachable = EndpointConfig::at("ws://127.0.0.1:1/secret-path");
    let error = check_endpoint("x", &ChainConfig::default(), &unreachable).await.unwrap_err();
    assert!(matches!(error, EndpointError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(!error.to_string().contains("secret-path"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_answer_for_a_block_with_logs_is_asked_again() {
    for by_logs in [false, true] {
        let (broker, node) = (Broker::start().await, node().await);
        let mut blocks = generator(36);
        node.without_block_receipts(by_logs);
        push_new(&node, &mut blocks, 3);
        let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
        broker.at_head(node.chain()).await;
        node.answer_empty_logs(true);
        node.answer_empty_receipts(true);
        push_new(&node, &mut blocks, 1);
        let reason = if by_logs { "empty_logs" } else { "receipt_count" };
        eventually(async || {
            producer.metric("crypto_intel_evm_untrue_answers_total", &[reason]) >= 3.0
        })
        .await;
        assert_eq!(broker.replay().await.markers.len(), 3, "it is not believed");
        node.answer_empty_logs(false);
        node.answer_empty_receipts(false);
        let replayed = broker.at_head(node.chain()).await;
        assert_same_set(
            transfers_of(node.chain().blocks().iter().map(AsRef::as_ref)),
            replayed.transfers(),
        );
        let unverified = &replayed.stack.last().unwrap().unverified;
        assert_eq!(unverified.is_empty(), !by_logs, "without receipts the marker says so");
        producer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_endpoint_serves_when_one_is_wrong_or_limits_the_rate() {
    let (broker, node) = (Broker::start().await, node().await);
    let other = node_of(node.chain().clone()).await;
    let mut blocks = generator(37);
    push_new(&node, &mut blocks, 3);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url(), other.ws_url()]));
    broker.at_head(node.chain()).await;
    node.answer_empty_receipts(true);
    push_new(&node, &mut blocks, 3);
    broker.at_head(node.chain()).await;
    node.answer_empty_receipts(false);
    node.rate_limit(RateLimit {
        requests: u64::MAX,
        form: RateLimitForm::JsonRpc,
        retry_after_seconds: 60,
    });
    push_new(&node, &mut blocks, 6);
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.markers.len(), 12);
    assert!(other.calls("eth_getBlockReceipts") > 0);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_alone_is_enough_and_waits_out_a_rate_limit() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(38);
    push_new(&node, &mut blocks, 3);
    let producer = start_evm(&broker.nats, chain_config(&[node.http_url()]));
    broker.at_head(node.chain()).await;
    node.rate_limit(RateLimit { requests: 12, form: RateLimitForm::Http, retry_after_seconds: 1 });
    push_new(&node, &mut blocks, 4);
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.count(Kind::Erc20Transfer), 42);
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_alone_tell_of_new_blocks_and_of_those_that_left() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(39);
    push_new(&node, &mut blocks, 3);
    let mut config = chain_config(&[node.ws_url()]);
    config.silence_seconds = 3_600;
    config.contracts = SyntheticOptions::default().tokens.iter().map(ToString::to_string).collect();
    let producer = start_evm(&broker.nats, config);
    broker.at_head(node.chain()).await;
    node.push_no_heads(true);
    push_new(&node, &mut blocks, 2);
    broker.at_head(node.chain()).await;
    // As high as before: logs of the new blocks are not of a newer one, only removed logs reveal them.
    node.reorg(2, blocks.fork(2, 2)).unwrap();
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.reorgs.len(), 1);
    assert!(producer.metric("crypto_intel_evm_removed_hints_total", &["node0"]) >= 1.0);
    producer.stop().await;
}
