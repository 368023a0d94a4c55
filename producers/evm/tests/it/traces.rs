//! Payments inside contracts: how long a block may wait for them, and how they are published later.

use std::time::{Duration, Instant};

use crypto_intel_evm::{Gap, GapReason, Gaps, TracesMode};
use crypto_intel_sandbox::ScriptedNode;
use crypto_intel_testkit::{Broker, eventually};
use serde_json::{Value, json};

use crate::harness::{CHAIN, Replay as _, chain_config, generator, node, push_new, start_evm};

const METHOD: &str = "debug_traceBlockByHash";

/// Traces of the head, with one payment inside each transaction.
fn traces_of_head(node: &ScriptedNode) -> String {
    let head: Value = serde_json::from_str(node.chain().head().unwrap().full_json()).unwrap();
    let (payer, payee) = (format!("0x{}", "aa".repeat(20)), format!("0x{}", "bb".repeat(20)));
    let transactions = head["transactions"].as_array().unwrap();
    let traced = transactions.iter().map(|transaction| {
        let call = |value: &str, calls: Value| json!({ "type": "CALL", "from": payer, "to": payee, "value": value, "calls": calls });
        json!({
            "txHash": transaction["hash"],
            "result": call("0x1", json!([call("0x7", json!([]))])),
        })
    });
    Value::Array(traced.collect()).to_string()
}

async fn gaps(broker: &Broker) -> Vec<Gap> {
    Gaps::open(&broker.nats, CHAIN).await.unwrap().list().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_that_do_not_come_hold_up_nothing_and_their_payments_come_later() {
    let (broker, node) = (Broker::start().await, node().await);
    let mut blocks = generator(75);
    push_new(&node, &mut blocks, 1);
    node.never_answer(METHOD, true);
    let mut config = chain_config(&[node.ws_url()]);
    config.traces = TracesMode::Debug;
    config.traces_budget_ms = 500;
    config.request_timeout_ms = 600_000;
    config.breaker.open_seconds = 1;
    let begun = Instant::now();
    let producer = start_evm(&broker.nats, config);
    let replayed = broker.at_head(node.chain()).await;
    assert_eq!(replayed.stack[0].unverified, ["traces"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let metric = |name: &str| producer.metric(&format!("crypto_intel_evm_{name}"), &[CHAIN]);
    assert!(metric("blocks_without_traces_total") >= 1.0);
    let queued = gaps(&broker).await;
    assert_eq!(queued.len(), 1);
    assert_eq!((queued[0].from, queued[0].to, queued[0].reason), (1, 1, GapReason::Traces));
    node.set_answer(METHOD, &traces_of_head(&node));
    node.never_answer(METHOD, false);
    let late = format!("history.{CHAIN}.transfer.internal");
    let come =
        async || broker.messages("HISTORY").await.iter().any(|message| message.subject == late);
    assert!(!come().await, "only what is final is published again");
    node.set_finalized(1);
    eventually(async || come().await.then_some(())).await;
    eventually(async || gaps(&broker).await.is_empty().then_some(())).await;
    assert_eq!(metric("endpoint_breaker_state"), 0.0, "blocks are served as before");
    producer.stop().await;
}
