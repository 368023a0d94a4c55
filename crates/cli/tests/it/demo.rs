//! `crypto-intel demo`, as it is without anvil.

use std::process::Command;

use serde_json::Value;

#[test]
fn the_demo_sees_every_stage_and_says_so_in_one_object() {
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
