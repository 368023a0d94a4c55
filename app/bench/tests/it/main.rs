//! The benchmark itself, on small numbers.
#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

use serde_json::{Map, Value};

/// Measures one part on generated blocks and returns its summary.
fn summary(part: &str, arguments: &[&str]) -> Map<String, Value> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_crypto-intel-bench"))
        .args(["--quick", "--only", part])
        .args(arguments)
        .env_remove("CRYPTO_INTEL_DATA")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = fs::read_to_string(folder.path().join("target/bench/summary.json")).unwrap();
    let summary: Map<String, Value> = serde_json::from_str(&text).unwrap();
    for (key, value) in &summary {
        assert!(value.is_number() || value.is_string(), "{key} is no flat value: {value}");
    }
    summary
}

fn assert_positive(summary: &Map<String, Value>, keys: &[&str]) {
    for key in keys {
        assert!(summary[*key].as_f64().unwrap() > 0.0, "{key} is {}", summary[*key]);
    }
}

#[test]
fn storage_is_reported_beside_its_raw_limits() {
    let summary = summary("persist", &["--real-blocks", "20"]);
    let rates = [
        "fsync_p50_ms",
        "persist_events_per_second",
        "persist_duplicates_events_per_second",
        "persist_raw_events_per_second",
        "persist_reader_events_per_second",
        "persist_rows_token_transfers",
    ];
    assert_positive(&summary, &rates);
    let figure = |key: &str| summary[key].as_f64().unwrap();
    let share = figure("persist_events_per_second") / figure("persist_raw_events_per_second");
    assert!((figure("persist_ratio") - share).abs() < 0.01, "{summary:?}");
}

#[test]
fn history_is_reported_beside_its_raw_limit_and_with_its_memory_goal() {
    let summary = summary("history", &["--history-blocks", "60", "--far-blocks", "60"]);
    let figures = [
        "history_events_per_second",
        "history_raw_events_per_second",
        "history_cpu_us_per_event",
        "history_far_peak_memory_mb",
    ];
    assert_positive(&summary, &figures);
    assert!(
        summary["history_memory_goal"].is_string() && summary["history_broker_goal"].is_string()
    );
}

#[test]
fn history_is_taken_to_rows_by_both_roles_together() {
    let summary = summary("history-to-rows", &["--history-blocks", "60"]);
    let figures = [
        "history_to_rows_events_per_second",
        "history_to_rows_persist_cpu_us_per_event",
        "history_to_rows_table_bytes_per_row",
    ];
    assert_positive(&summary, &figures);
}

#[test]
fn one_event_in_a_hundred_touches_a_watched_address() {
    let summary = summary("watched", &["--real-blocks", "60", "--addresses", "200"]);
    // 60 blocks of 200 transfers; which addresses they name is known from a sample. Their transactions come along.
    let copies = summary["watched_copies"].as_f64().unwrap();
    assert!((60.0..500.0).contains(&copies), "{copies}");
    assert_positive(&summary, &["watched_none_events_per_second", "watched_all_events_per_second"]);
}

#[test]
fn every_question_is_answered() {
    let summary = summary("queries", &["--rows", "20000"]);
    let times = ["query_last_100_busy_ms", "query_last_100_rare_ms", "query_token_by_hour_ms"];
    assert_positive(&summary, &times);
}

#[test]
fn growth_is_reported_beside_the_first_line_of_each_section() {
    let arguments = ["--backlog", "2000", "--scale-seconds", "1", "--rows", "2000"];
    let summary = summary("scale", &arguments);
    let figures = [
        "scale_chains_1_events_per_second",
        "scale_chains_2_events_per_second",
        "scale_chains_2_cpu_us_per_event",
        "scale_chains_2_producer_tasks_ratio",
        "scale_shared_2_head_to_row_p99_ms_ratio",
        "scale_backlog_2000_caught_up_seconds",
        "scale_backlog_2000_events_per_second_ratio",
        "scale_rows_0_events_per_second",
        "scale_rows_2000_wal_bytes_per_event_ratio",
    ];
    assert_positive(&summary, &figures);
    let figure = |key: &str| summary[key].as_f64().unwrap();
    // A producer has a connection to the server and one to each chain's node, at least.
    assert!(figure("scale_chains_2_producer_connections") >= 3.0, "{summary:?}");
    assert!(figure("scale_backlog_2000_caught_up_seconds") > 0.0);
}
