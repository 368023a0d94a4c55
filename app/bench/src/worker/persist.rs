//! Storing the stream, from a position to the stream's end.

use std::time::Instant;

use anyhow::Context as _;
use crypto_intel_persist::{Config, StreamSource};
use crypto_intel_service::{Context, Secret};
use crypto_intel_store::{Store, StoreConfig};
use serde::{Deserialize, Serialize};

use super::{Lane, answer, connect, counters, histogram_sum, run_until, stop};
use crate::usage::Usage;

/// What to store where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PersistTask {
    /// The server.
    pub(crate) nats_url: String,
    /// The database, with its tables.
    pub(crate) database_url: String,
    /// Which stream.
    pub(crate) lane: Lane,
    /// How many events it holds after the position, or will hold.
    pub(crate) messages: u64,
}

/// How it went.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PersistOutcome {
    /// From its start to the last commit.
    pub(crate) seconds: f64,
    /// Transactions.
    pub(crate) batches: u64,
    /// Seconds inside transactions, from begin to commit.
    pub(crate) transaction_seconds: f64,
    /// Usage of persist's process.
    pub(crate) usage: Usage,
}

pub(super) async fn store(database_url: &str) -> anyhow::Result<Store> {
    let config = StoreConfig { url: Secret::new(database_url), ..StoreConfig::default() };
    Store::connect(&config, &tokio_util::sync::CancellationToken::new())
        .await
        .context("connect to the database")
}

pub(super) async fn run(task: PersistTask) -> anyhow::Result<()> {
    let nats = connect(&task.nats_url).await?;
    let store = store(&task.database_url).await?;
    let context = Context::new("bench-persist");
    let config = Config {
        streams: vec![StreamSource::new(task.lane.stream(), &[task.lane.all()])],
        // A stream that was filled a while ago is far behind.
        max_lag_seconds: 86_400,
        ..Config::default()
    };
    let before = Usage::own();
    let started = Instant::now();
    let role = crypto_intel_persist::run(config, nats, store, context.clone());
    let registry = &context.registry;
    let applied = || counters(registry, &["crypto_intel_persist_applied_total"]);
    let role = run_until(role, task.messages, applied).await.context("store the stream")?;
    let seconds = started.elapsed().as_secs_f64();
    let mut usage = Usage::own();
    usage.cpu_seconds -= before.cpu_seconds;
    let batches = counters(registry, &["crypto_intel_persist_batches_total"]);
    let transaction_seconds = histogram_sum(registry, "crypto_intel_persist_commit_seconds");
    answer(&PersistOutcome { seconds, batches, transaction_seconds, usage })?;
    stop(&context, role).await
}
