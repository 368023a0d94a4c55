//! `crypto-intel status`: heads, leases, lags, endpoints, streams and last alerts on one screen.

mod gather;
mod screen;

use std::process::ExitCode;

use crypto_intel_nats::{Nats, StreamStatus, Topology, list_dead_letters};
use serde::Serialize;

pub(crate) use gather::chains;

use super::{connect_nats, connect_store, prepare};
use crate::{
    args::Arguments,
    config::AppConfig,
    observe::{BackupRecord, backup_record},
    output::Output,
};

/// Dead letters are counted up to here.
const MAX_DEAD_LETTERS: usize = 1_000;

/// Everything that could be learnt; what could not is among the problems.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Status {
    chains: Vec<Chain>,
    leases: Vec<Leader>,
    endpoints: Vec<Endpoint>,
    /// How far persist is, by its tables.
    positions: Vec<Lag>,
    /// The readers of a stream, and how far they are behind.
    readers: Vec<Reader>,
    streams: Vec<StreamStatus>,
    alerts: Vec<LastAlert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<usize>,
    /// How the last backups ended, where there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<BackupRecord>,
    /// Why the database is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// What could not be read, and why.
    problems: Vec<String>,
}

/// The newest block of a chain in the stream, or why there is none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Chain {
    pub(crate) chain: String,
    /// `None` if nothing of it was ever published.
    #[serde(flatten)]
    pub(crate) head: Option<Head>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// A published block.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Head {
    pub(crate) block_number: u64,
    block_hash: String,
    finalized_number: u64,
    /// Never negative: a chain's clock may be ahead of ours.
    block_age_seconds: i64,
}

/// Who does a task.
#[derive(Debug, Serialize)]
struct Leader {
    task: String,
    owner: String,
    since_us: i64,
}

/// What the producer last said of an endpoint.
#[derive(Debug, Serialize)]
struct Endpoint {
    chain: String,
    endpoint: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    told_at_us: i64,
}

#[derive(Debug, Serialize)]
struct Lag {
    stream: String,
    position: u64,
    /// `None` while the stream is missing or unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_behind: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Reader {
    role: String,
    stream: String,
    /// The destination, for messages to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    messages_behind: u64,
}

#[derive(Debug, Serialize)]
struct LastAlert {
    at_us: i64,
    severity: &'static str,
    state: &'static str,
    rule: String,
    title: String,
    code: String,
}

pub(crate) async fn run(arguments: &Arguments, output: Output) -> anyhow::Result<ExitCode> {
    let config = prepare(arguments)?;
    let nats = connect_nats(&config, "status").await?;
    let status = look(&config, &nats, &config.topology()?).await;
    output.show(&status, screen::show)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks for everything at once; what fails hides nothing else.
pub(crate) async fn look(config: &AppConfig, nats: &Nats, topology: &Topology) -> Status {
    let mut status = Status::default();
    let mut problems = Vec::new();
    let (streams, chains, leases, endpoints, readers, alerts, letters, backup, positions) = tokio::join!(
        gather::streams(nats, topology),
        gather::chains(config, nats),
        gather::leases(nats),
        gather::endpoints(config, nats),
        gather::readers(nats),
        gather::last_alerts(nats),
        list_dead_letters(nats, None, MAX_DEAD_LETTERS),
        backup_record(nats),
        positions(config),
    );
    status.streams = taken("streams", streams, &mut problems);
    status.chains = taken("chains", chains, &mut problems);
    status.leases = taken("leases", leases, &mut problems);
    status.endpoints = taken("endpoints", endpoints, &mut problems);
    status.readers = taken("readers", readers, &mut problems);
    status.alerts = taken("alerts", alerts, &mut problems);
    let letters = letters.map(|letters| Some(letters.len())).map_err(anyhow::Error::from);
    status.dead_letters = taken("dead letters", letters, &mut problems);
    status.backup = taken("backups", backup, &mut problems);
    match positions {
        Ok(Some(positions)) => status.positions = gather::lags(positions, &status.streams),
        Ok(None) => status.database = Some("none is configured: nothing is stored".to_owned()),
        Err(error) => status.database = Some(format!("{error:#}")),
    }
    gather::explain(&mut status);
    status.problems = problems;
    status
}

async fn positions(
    config: &AppConfig,
) -> anyhow::Result<Option<Vec<crypto_intel_store::PositionRow>>> {
    if config.database.url.is_empty() {
        return Ok(None);
    }
    let store = connect_store(config).await?;
    Ok(Some(store.positions().await?))
}

fn taken<T: Default>(what: &str, outcome: anyhow::Result<T>, problems: &mut Vec<String>) -> T {
    outcome.unwrap_or_else(|error| {
        problems.push(format!("{what}: {error:#}"));
        T::default()
    })
}
