//! The benchmark itself, on small numbers.
#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

use serde_json::Value;

#[test]
fn a_quick_run_writes_a_flat_summary_with_rates_beside_their_raw_limits() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crypto-intel-bench"))
        .args(["--quick", "--blocks", "20", "--only", "persist"])
        .env_remove("CRYPTO_INTEL_DATA")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = fs::read_to_string(folder.path().join("target/bench/summary.json")).unwrap();
    let summary: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    for (key, value) in &summary {
        assert!(value.is_number() || value.is_string(), "{key} is no flat value: {value}");
    }
    let figure = |key: &str| summary[key].as_f64().unwrap();
    for key in [
        "fsync_p50_ms",
        "persist_events_per_second",
        "persist_duplicates_events_per_second",
        "persist_raw_events_per_second",
    ] {
        assert!(figure(key) > 0.0, "{key}");
    }
    let share = figure("persist_events_per_second") / figure("persist_raw_events_per_second");
    assert!((figure("persist_ratio") - share).abs() < 0.01, "{text}");
}
