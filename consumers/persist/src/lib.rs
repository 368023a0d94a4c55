#![doc = include_str!("../README.md")]

mod apply;
mod assemble;
mod batch;
mod config;
mod duty;
mod intake;
mod metrics;
mod plan;
mod progress;
mod retention;
mod session;
mod status;
mod wallets;
mod write;

use std::sync::Arc;

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_service::Context;
use crypto_intel_store::Store;
use tokio::task::JoinSet;

pub use config::{Config, StreamSource};

use crate::{
    duty::hold, metrics::Metrics, retention::RetentionTask, session::StreamTask, status::Status,
    wallets::WalletTask,
};

/// Stores the configured streams until shutdown. The tables must be there (`crypto-intel migrate`).
///
/// # Errors
/// When metrics cannot be registered, or a stream's task panics. Everything else is tried again, visibly, for ever.
pub async fn run(config: Config, nats: Nats, store: Store, context: Context) -> anyhow::Result<()> {
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let mut tasks = JoinSet::new();
    for source in &config.streams {
        let probe = context.health.probe(format!("persist.{}", source.stream), None);
        let status = Status::new(&source.stream, &nats, probe, &metrics, config.max_lag_seconds);
        let task = StreamTask {
            source: source.clone(),
            config: config.clone(),
            nats: nats.clone(),
            store: store.clone(),
            metrics: metrics.clone(),
            status: Arc::new(status),
            context: context.clone(),
        };
        tasks.spawn(hold(task));
    }
    if tasks.is_empty() {
        tracing::warn!("persist.streams is empty: nothing is stored");
        context.shutdown.cancelled().await;
        return Ok(());
    }
    let wallets = WalletTask {
        nats: nats.clone(),
        store: store.clone(),
        context: context.clone(),
        probe: context.health.probe("persist.watchlist", None),
    };
    tasks.spawn(hold(wallets));
    let retention = RetentionTask {
        nats,
        store,
        metrics,
        probe: context.health.probe("persist.retention", None),
        context,
    };
    tasks.spawn(hold(retention));
    while let Some(ended) = tasks.join_next().await {
        ended.context("store a stream")?;
    }
    Ok(())
}
