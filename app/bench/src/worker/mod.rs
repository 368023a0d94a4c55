//! What a worker process does: one side of a comparison, or a stand-in. Its task is an argument, its answers are lines of
//! JSON on standard output, and the end of standard input means that it should stop.

mod evm;
mod fetch;
mod http_clients;
mod live_clients;
mod live_server;
mod node;
mod nodes;
mod persist;
mod pipeline;
mod read;
mod standing;

use std::{
    future::Future,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Nats, NatsConfig};
use crypto_intel_service::{
    Context, LogFormat, TelemetryConfig, init_telemetry, prometheus::Registry,
};
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

pub(crate) use self::{
    evm::{BenchScope, EvmOutcome, EvmTask, Lane},
    fetch::{FetchOutcome, FetchTask},
    http_clients::{HttpClientsOutcome, HttpClientsTask, HttpConnection},
    live_clients::{LiveClientsOutcome, LiveClientsReady, LiveClientsTask},
    live_server::{LiveServerReady, LiveServerTask},
    node::{BlockAt, NodeReady, NodeTask, Play, Played, sample},
    nodes::{NodesPlayed, NodesReady, NodesTask},
    persist::{PersistOutcome, PersistTask},
    pipeline::{DESTINATIONS, PipelineOutcome, PipelineTask},
    read::{ReadHow, ReadOutcome, ReadTask},
    standing::{StandingState, StandingTask},
};

/// The chain's slug in everything that is measured.
pub(crate) const CHAIN: &str = "bench";
/// Its id.
pub(crate) const CHAIN_ID: u64 = 31_337;

/// The slug of each of several chains; the first is that of everything else.
pub(crate) fn chain_slug(place: usize) -> String {
    match place {
        0 => CHAIN.to_owned(),
        _ => format!("{CHAIN}{place}"),
    }
}

/// How often progress is polled, at the beginning and towards the end.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// In between: polling takes CPU time, which is measured.
const SLOW_POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Work without progress for this long has failed.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a role may take to stop.
const GRACE: Duration = Duration::from_secs(20);

/// What a worker does.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub(crate) enum Task {
    /// A scripted node.
    Node(NodeTask),
    /// Several scripted nodes.
    Nodes(NodesTask),
    /// The EVM producer, catching up.
    Evm(EvmTask),
    /// A client of the node that drops what it receives.
    Fetch(FetchTask),
    /// A reader of the stream.
    Read(ReadTask),
    /// Storing the stream.
    Persist(PersistTask),
    /// One role, until it is told to end.
    Standing(StandingTask),
    /// Live events to clients.
    LiveServer(LiveServerTask),
    /// Clients of live events.
    LiveClients(LiveClientsTask),
    /// Clients of the API.
    HttpClients(HttpClientsTask),
    /// The whole pipeline.
    Pipeline(PipelineTask),
}

/// Runs a task to its end.
pub(crate) async fn run(task: Task) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match task {
        Task::Pipeline(task) => pipeline::run(task).await,
        other => {
            let config = TelemetryConfig {
                // A jump to the history lane is what is measured, so its warning is left out.
                log: "warn,crypto_intel_chain::live::jump=error".to_owned(),
                format: LogFormat::Text,
                ..TelemetryConfig::default()
            };
            init_telemetry(&config)?;
            match other {
                Task::Node(task) => node::run(task).await,
                Task::Nodes(task) => nodes::run(task).await,
                Task::Evm(task) => evm::run(task).await,
                Task::Fetch(task) => fetch::run(task).await,
                Task::Read(task) => read::run(task).await,
                Task::Persist(task) => persist::run(task).await,
                Task::Standing(task) => standing::run(task).await,
                Task::LiveServer(task) => live_server::run(task).await,
                Task::LiveClients(task) => live_clients::run(task).await,
                Task::HttpClients(task) => http_clients::run(task).await,
                Task::Pipeline(_) => Ok(()),
            }
        }
    }
}

/// Sends an answer to the parent process.
fn answer(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(answer)?).context("answer")?;
    output.flush().context("answer")
}

async fn connect(url: &str) -> anyhow::Result<Nats> {
    let config = NatsConfig { url: url.into(), ..NatsConfig::default() };
    crypto_intel_nats::connect(&config, "bench", &CancellationToken::new())
        .await
        .context("connect to NATS")
}

/// Starts a role and waits until `progress` reaches `wanted`; the role keeps running.
async fn run_until(
    role: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    wanted: u64,
    mut progress: impl FnMut() -> u64,
) -> anyhow::Result<AbortOnDropHandle<anyhow::Result<()>>> {
    let role = AbortOnDropHandle::new(tokio::spawn(role));
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let done = progress();
        if done >= wanted {
            return Ok(role);
        }
        if role.is_finished() {
            role.await.context("run the role")?.context("run the role")?;
            bail!("the role ended before its work: {done} of {wanted}");
        }
        if done > last {
            (last, since) = (done, Instant::now());
        }
        if since.elapsed() > STALL_TIMEOUT {
            bail!("the role makes no progress at {done} of {wanted}");
        }
        let is_between = done > 0 && done < wanted - wanted / 20;
        tokio::time::sleep(if is_between { SLOW_POLL_INTERVAL } else { POLL_INTERVAL }).await;
    }
}

/// Stops a role gracefully, so that its lease is free for the next.
async fn stop(
    context: &Context,
    role: AbortOnDropHandle<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    context.shutdown.cancel();
    tokio::time::timeout(GRACE, role)
        .await
        .context("wait for the role to stop")?
        .context("run the role")?
}

/// The sum of some counters over all their labels.
fn counters(registry: &Registry, names: &[&str]) -> u64 {
    let families = registry.gather();
    let metrics = families.iter().filter(|family| names.contains(&family.name()));
    let total: f64 = metrics
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_counter().get_value())
        .sum();
    total as u64
}

/// A histogram's sum over its labels.
fn histogram_sum(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let metrics = families.iter().filter(|family| family.name() == name);
    metrics
        .flat_map(|family| family.get_metric())
        .map(|metric| metric.get_histogram().get_sample_sum())
        .sum()
}
