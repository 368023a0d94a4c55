use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use prometheus::{IntGaugeVec, Opts, TextEncoder, core::Collector as _, proto::MetricFamily};

use crate::process::context::Context;

/// Serves `/live`, `/ready` and `/metrics` on `listen` (port 0 takes a free one) until shutdown.
/// Returns the bound address and the server's future.
///
/// `/live` is 200 while the process runs; `/ready` is 200 or 503 with the JSON health report.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_admin(
    listen: SocketAddr,
    context: Context,
) -> anyhow::Result<(SocketAddr, impl Future<Output = anyhow::Result<()>> + Send + 'static)> {
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| {
        format!("bind admin.listen {listen} (set another, or port 0 for a free one)")
    })?;
    let address = listener.local_addr().context("read the admin address")?;
    let shutdown = context.shutdown.clone();
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(context);
    let server = async move {
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
            .context("serve the admin port")
    };
    Ok((address, server))
}

async fn ready(State(context): State<Context>) -> impl IntoResponse {
    let report = context.health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn metrics(State(context): State<Context>) -> Result<String, (StatusCode, String)> {
    let mut families = context.registry.gather();
    families.extend(probe_metrics(&context));
    TextEncoder::new()
        .encode_to_string(&families)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The health report as a gauge: a probe that is gone must not stay behind as its last value, so
/// it is created for each answer.
fn probe_metrics(context: &Context) -> Vec<MetricFamily> {
    let options = Opts::new("crypto_intel_health_probe", "1 while what must progress does, else 0");
    let Ok(gauges) = IntGaugeVec::new(options, &["name"]) else { return Vec::new() };
    for probe in context.health.report().probes {
        gauges.with_label_values(&[&probe.name]).set(i64::from(probe.healthy));
    }
    gauges.collect()
}
