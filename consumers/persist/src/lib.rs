#![doc = include_str!("../README.md")]

mod apply;
mod backlog;
mod config;
mod hint;
mod intake;
mod metrics;
mod position_report;
mod rebuild;
mod replay;
mod role;
mod status;
mod tasks;

use std::sync::Arc;

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats};
use crypto_intel_schemas::leases;
use crypto_intel_service::Context;
use crypto_intel_store::Store;
use tokio::task::JoinSet;

pub use config::{Config, NotStored, StreamSource};
pub use rebuild::{
    new_tables::{Rebuild, RebuildOptions, StreamReport},
    stage::{Stage, Watcher},
    swap::{Paused, Swapped, swap},
};
pub use replay::{
    Replay, ReplayOutcome, ReplayTask,
    progress::{Counts, Progress},
};
pub use role::ROLE;

use crate::{
    metrics::Metrics,
    status::Status,
    tasks::{
        keep_running, labels::LabelTask, proof::ProofTask, retention::RetentionTask,
        stream::StreamTask, wallets::WalletTask,
    },
};

/// Stores the configured streams until shutdown. The tables must exist (`crypto-intel migrate`).
///
/// # Errors
/// When metrics cannot be registered, or when a task panics. Every other failure is logged and retried.
pub async fn run(config: Config, nats: Nats, store: Store, context: Context) -> anyhow::Result<()> {
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let leadership = |name: &str| {
        let probe = Arc::new(context.health.probe(format!("persist.{name}"), None));
        Leadership::new(leases::persist(name), &nats, &context, probe).context("register metrics")
    };
    let mut tasks = JoinSet::new();
    for source in &config.streams {
        let leadership = leadership(&source.stream)?;
        let probe = Arc::clone(leadership.probe());
        let status = Status::new(&source.stream, &nats, probe, &metrics, config.max_lag_seconds);
        let task = StreamTask {
            leadership,
            source: source.clone(),
            config: config.clone(),
            store: store.clone(),
            metrics: metrics.clone(),
            status: Arc::new(status),
        };
        tasks.spawn(keep_running(task));
    }
    if tasks.is_empty() {
        tracing::warn!("persist.streams is empty: nothing is stored");
        context.shutdown.cancelled().await;
        return Ok(());
    }
    let wallets = WalletTask { leadership: leadership("watchlist")?, store: store.clone() };
    tasks.spawn(keep_running(wallets));
    let labels = LabelTask { leadership: leadership("labels")?, store: store.clone() };
    tasks.spawn(keep_running(labels));
    let proof = ProofTask {
        leadership: leadership("balances")?,
        store: store.clone(),
        metrics: metrics.clone(),
    };
    tasks.spawn(keep_running(proof));
    let retention = RetentionTask { leadership: leadership("retention")?, store, metrics };
    tasks.spawn(keep_running(retention));
    while let Some(ended) = tasks.join_next().await {
        ended.context("store a stream")?;
    }
    Ok(())
}
