use crypto_intel_testkit::eventually;

use crate::{chain::Chain, harness::Servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_its_progress_by_metrics_and_probes() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    Chain::new("base").play(&servers.nats, 2, 3).await;
    servers.settled("EVM").await;
    eventually(async || persist.is_ready()).await;
    // Counted only after the commit that moved the position.
    eventually(async || persist.metric("crypto_intel_persist_rows_total", &[]) > 0.0).await;
    let names: Vec<String> = persist
        .context
        .registry
        .gather()
        .iter()
        .map(|family| family.name().trim_start_matches("crypto_intel_persist_").to_owned())
        .collect();
    for name in [
        "received_total",
        "applied_total",
        "rows_total",
        "batches_total",
        "lag_messages",
        "lag_seconds",
        "commit_seconds",
        "head_to_row_seconds",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    let report = persist.context.health.report();
    let probes: Vec<&str> = report.probes.iter().map(|probe| probe.name.as_str()).collect();
    for stream in [
        "EVM",
        "HISTORY",
        "MARKET",
        "SIGNALS",
        "STATUS",
        "ALERT",
        "NOTIFY",
        "AUDIT",
        "watchlist",
        "labels",
        "retention",
    ] {
        assert!(probes.contains(&format!("persist.{stream}").as_str()), "{probes:?}");
    }
    persist.stop().await;
}
