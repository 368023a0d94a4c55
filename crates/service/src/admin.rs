use std::net::SocketAddr;

use anyhow::Context as _;
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use prometheus::TextEncoder;

use crate::Context;

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
    TextEncoder::new()
        .encode_to_string(&context.registry.gather())
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
