//! Token metadata is on transfers, and never delays a block beyond its bound.

use std::time::{Duration, Instant};

use crypto_intel_nats::Bucket;
use crypto_intel_sandbox::ScriptedNode;
use crypto_intel_schemas::Erc20Transfer;
use crypto_intel_testkit::{Broker, eventually};

use crate::{
    harness::{CHAIN, Replay as _, chain_config, generator, node, push_new, start_evm},
    stream::Replayed,
};

const TOKEN: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
const SYMBOL: &str = "0x95d89b41";
const NAME: &str = "0x06fdde03";
const DECIMALS: &str = "0x313ce567";

fn text(content: &[u8]) -> String {
    let mut hex = format!("0x{:064x}{:064x}", 32, content.len());
    for byte in content {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex.push_str(&"00".repeat(content.len().next_multiple_of(32) - content.len()));
    hex
}

fn answer(node: &ScriptedNode, symbol: &[u8], decimals: &str) {
    node.set_call_answer(TOKEN, SYMBOL, &text(symbol));
    node.set_call_answer(TOKEN, NAME, &text(b"A token"));
    node.set_call_answer(TOKEN, DECIMALS, decimals);
}

fn last(replayed: &Replayed) -> Erc20Transfer {
    let top = replayed.top().unwrap();
    replayed.erc20().find(|transfer| transfer.block_hash == top).unwrap().clone()
}

/// Pushes blocks until the newest transfer has a symbol.
async fn until_known(
    broker: &Broker,
    node: &ScriptedNode,
    blocks: &mut crypto_intel_sandbox::node::Synthetic,
) -> Erc20Transfer {
    eventually(async || {
        push_new(node, blocks, 1);
        let transfer = last(&broker.at_head(node.chain()).await);
        transfer.symbol.is_some().then_some(transfer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_asked_once_cleaned_and_kept_over_restarts() {
    let (broker, node) = (Broker::start().await, node().await);
    answer(&node, "\u{202e}DE\u{200b}MO\u{7}".as_bytes(), &format!("0x{:064x}", 6));
    let mut blocks = generator(51);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let transfer = until_known(&broker, &node, &mut blocks).await;
    assert_eq!(transfer.symbol.as_deref(), Some("DEMO"));
    assert_eq!(transfer.decimals, Some(6));
    assert!(transfer.amount.is_some() && transfer.usd.is_none());
    assert!(!transfer.token_verified, "self-reported metadata verifies nothing");
    let calls = node.calls("eth_call");
    push_new(&node, &mut blocks, 5);
    broker.at_head(node.chain()).await;
    assert_eq!(node.calls("eth_call"), calls, "it is asked once");
    let stored = eventually(async || {
        let bucket = broker.nats.kv(Bucket::Tokens).await.unwrap();
        bucket.get(&format!("{CHAIN}.{TOKEN}")).await.unwrap()
    })
    .await;
    let stored: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
    assert_eq!(stored["name"], "A token");
    producer.stop().await;

    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let transfer = until_known(&broker, &node, &mut blocks).await;
    assert_eq!(transfer.symbol.as_deref(), Some("DEMO"));
    assert_eq!(node.calls("eth_call"), calls, "after a restart the bucket knows it");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_tokens_do_no_harm() {
    let (broker, node) = (Broker::start().await, node().await);
    answer(&node, &vec![b'Z'; 2 << 20], &format!("0x{}", "ff".repeat(32)));
    let mut blocks = generator(52);
    let producer = start_evm(&broker.nats, chain_config(&[node.ws_url()]));
    let transfer = until_known(&broker, &node, &mut blocks).await;
    assert_eq!(transfer.symbol, Some("Z".repeat(32)));
    assert_eq!((transfer.decimals, transfer.amount), (None, None), "absurd decimals are unknown");
    producer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_answer_calls_delays_no_block_beyond_the_bound() {
    let (broker, node) = (Broker::start().await, node().await);
    node.never_answer("eth_call", true);
    let mut config = chain_config(&[node.ws_url()]);
    // Long enough that waiting for it would be noticed.
    config.request_timeout_ms = 120_000;
    config.enrich_wait_ms = 200;
    let mut blocks = generator(53);
    let producer = start_evm(&broker.nats, config);
    let started = Instant::now();
    push_new(&node, &mut blocks, 20);
    let replayed = broker.at_head(node.chain()).await;
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert!(replayed.erc20().count() > 0);
    assert!(replayed.erc20().all(|transfer| transfer.symbol.is_none()));
    assert!(node.calls("eth_call") >= 1, "it was asked");
    producer.stop().await;
}
