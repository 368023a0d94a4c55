//! `crypto-intel demo` without anvil.

use std::{process::Command, time::Duration};

use crypto_intel_sandbox::{
    NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use serde_json::Value;

#[test]
fn the_demo_reports_every_stage_in_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crypto-intel"))
        .args(["--json", "demo", "--scripted", "--for", "10s", "--rate", "100", "--data"])
        .arg(folder.path().join("demo"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    for stage in ["heads", "published", "polled", "persisted", "alerts", "messages"] {
        assert!(summary[stage].as_u64().unwrap() > 0, "{stage}: {summary}");
    }
    for latency in ["head_to_row_ms", "head_to_chat_ms"] {
        let (p50, p99) = (&summary[latency]["p50"], &summary[latency]["p99"]);
        assert!(
            p50.as_f64().unwrap() > 0.0 && p99.as_f64() >= p50.as_f64(),
            "{latency}: {summary}"
        );
    }
    assert_eq!(summary["dead_letters"], 0);
    assert_eq!(summary["refused_by_chat"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_demo_follows_a_chain_by_its_preset() {
    // Its preset does not check the hash of headers, which generated blocks do not have.
    let chain_id = 43_114;
    let node = ScriptedNode::start(NodeOptions { chain_id, ..NodeOptions::default() });
    let node = node.await.unwrap();
    let mut blocks = Synthetic::new(SyntheticOptions { chain_id, ..SyntheticOptions::default() });
    for _ in 0..100 {
        node.push_block(blocks.next_block()).unwrap();
    }
    let chain = node.chain().clone();
    let playing = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(200));
        loop {
            pace.tick().await;
            chain.push_block(blocks.next_block()).unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_crypto-intel"));
    command.args(["--json", "demo", "--live", "avalanche", "--for", "8s", "--live-endpoint"]);
    command.arg(node.ws_url()).arg("--data").arg(folder.path().join("demo"));
    let output = command.output().await.unwrap();
    playing.abort();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["published"].as_u64().unwrap() > 64, "from the block after the final one");
    assert!(summary["node"].as_str().unwrap().starts_with("avalanche, live by 127.0.0.1"));
    let written = std::fs::read_to_string(folder.path().join("demo/crypto-intel.toml")).unwrap();
    assert!(!written.contains("chain_id"), "the preset knows it");
}

#[test]
fn the_live_demo_says_when_nothing_can_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crypto-intel"))
        .args(["demo", "--live", "ethereum", "--live-endpoint", "ws://127.0.0.1:1", "--data"])
        .arg(folder.path().join("demo"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("none of 1 endpoints can be used"), "{errors}");
}
