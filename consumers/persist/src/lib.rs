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
mod pump;
mod rebuild;
mod replay;
mod retention;
mod session;
mod status;
mod waiting;
mod wallets;
mod write;

use std::sync::Arc;

use anyhow::Context as _;
use crypto_intel_nats::{Nats, escape_key};
use crypto_intel_service::Context;
use crypto_intel_store::Store;
use tokio::task::JoinSet;

pub use config::{Config, StreamSource};
pub use rebuild::{Paused, Rebuild, RebuildOptions, Stage, StreamReport, Swapped, Watcher};
pub use replay::{Counts, Progress, Replay, ReplayOutcome, ReplayTask};

use crate::{
    duty::{Post, hold},
    metrics::Metrics,
    retention::RetentionTask,
    session::StreamTask,
    status::Status,
    wallets::WalletTask,
};

/// Stores the configured streams until shutdown. The tables must be there (`crypto-intel migrate`).
///
/// # Errors
/// When metrics cannot be registered, or a stream's task panics. Everything else is tried again, visibly, for ever.
pub async fn run(config: Config, nats: Nats, store: Store, context: Context) -> anyhow::Result<()> {
    let metrics = Metrics::new(&context.registry).context("register metrics")?;
    let post = |name: &str, what: &str| Post {
        lease: format!("persist.{}", escape_key(name)),
        what: what.to_owned(),
        nats: nats.clone(),
        context: context.clone(),
        probe: Arc::new(context.health.probe(format!("persist.{name}"), None)),
    };
    let mut tasks = JoinSet::new();
    for source in &config.streams {
        let post = post(&source.stream, &format!("store stream {}", source.stream));
        let probe = Arc::clone(&post.probe);
        let status = Status::new(&source.stream, &nats, probe, &metrics, config.max_lag_seconds);
        let task = StreamTask {
            post,
            source: source.clone(),
            config: config.clone(),
            store: store.clone(),
            metrics: metrics.clone(),
            status: Arc::new(status),
        };
        tasks.spawn(hold(task));
    }
    if tasks.is_empty() {
        tracing::warn!("persist.streams is empty: nothing is stored");
        context.shutdown.cancelled().await;
        return Ok(());
    }
    let wallets = post("watchlist", "keep the table of wallets");
    tasks.spawn(hold(WalletTask { post: wallets, store: store.clone() }));
    let retention = post("retention", "drop old rows");
    tasks.spawn(hold(RetentionTask { post: retention, store, metrics }));
    while let Some(ended) = tasks.join_next().await {
        ended.context("store a stream")?;
    }
    Ok(())
}
