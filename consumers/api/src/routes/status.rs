use axum::{Json, extract::State};
use crypto_intel_nats::{Bucket, LeaseHolder, NatsError};
use crypto_intel_schemas::Stream;
use crypto_intel_service::{ProbeReport, now_us};
use crypto_intel_store::PositionRow;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::scopes::Scope,
    guard::Guard,
    limits::cost,
    parameters::{Asked, NoParameters},
    problem::Problem,
    routes::alias::also_at,
    state::ApiState,
};

/// Streams that the status is about.
const STREAMS: [Stream; 8] = [
    Stream::Evm,
    Stream::History,
    Stream::Market,
    Stream::Signals,
    Stream::Status,
    Stream::Alert,
    Stream::Notify,
    Stream::Audit,
];

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Operations, cost::SUMMARY);
    OpenApiRouter::new().routes(also_at("/api/status", guard.of(routes!(status))))
}

/// How the pipeline runs.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// Version of the program that answers.
    version: &'static str,
    /// The process that answers.
    instance: String,
    /// Its clock, microseconds UTC.
    now_us: i64,
    /// Whether everything in this process progresses; other roles may be in other processes.
    ready: bool,
    /// What must progress in this process, by name.
    probes: Vec<ProbeState>,
    /// Who does what, by task.
    leaders: Vec<Leader>,
    /// What streams hold and how far the tables are behind them.
    streams: Vec<StreamState>,
    /// What could not be read.
    problems: Vec<String>,
}

/// One thing that must progress.
#[derive(Debug, Serialize, ToSchema)]
struct ProbeState {
    /// Dotted name, such as `evm.ethereum.head`.
    name: String,
    /// Whether it progresses.
    healthy: bool,
    /// Its last report, or why it does not.
    detail: String,
    /// Seconds since its last report.
    seconds_since_beat: u64,
    /// Whether it only informs.
    advisory: bool,
}

impl From<ProbeReport> for ProbeState {
    fn from(report: ProbeReport) -> Self {
        let ProbeReport { name, healthy, detail, seconds_since_beat, advisory } = report;
        Self { name, healthy, detail, seconds_since_beat, advisory }
    }
}

/// The instance that does a task.
#[derive(Debug, Serialize, ToSchema)]
struct Leader {
    /// The task, such as `evm.ethereum`.
    task: String,
    /// The instance.
    owner: String,
    /// Since when, microseconds UTC.
    since_us: i64,
}

/// What a stream holds.
#[derive(Debug, Serialize, ToSchema)]
struct StreamState {
    /// Its name.
    name: String,
    /// Messages in it.
    messages: u64,
    /// Their size.
    bytes: u64,
    /// How much of its limit they are, 0 to 1; null without a limit.
    fill_ratio: Option<f64>,
    /// Sequence of the last message.
    last_sequence: u64,
    /// Sequence up to which the tables have read it; null where they do not.
    stored_sequence: Option<u64>,
    /// Messages that the tables have not read yet; null where they read none.
    behind: Option<u64>,
}

/// How the pipeline runs: this process, the tasks of all processes, streams and tables.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "operations",
    responses((status = 200, body = Status))
)]
async fn status(
    State(state): State<ApiState>,
    _: Asked<NoParameters>,
) -> Result<Json<Status>, Problem> {
    Ok(Json(look(&state).await))
}

/// Asks for everything at once; what fails hides nothing else, and is told.
async fn look(state: &ApiState) -> Status {
    let mut problems = Vec::new();
    let (leaders, positions) = tokio::join!(leaders(state), state.positions());
    let leaders = leaders.unwrap_or_else(|error| {
        problems.push(format!("leaders: {error:#}"));
        Vec::new()
    });
    let positions = positions.unwrap_or_else(|error| {
        tracing::warn!(error = %format!("{error:#}"), "cannot read the positions");
        problems.push("positions: the database does not answer".to_owned());
        Vec::new().into()
    });
    let mut streams = Vec::new();
    let asked = STREAMS.map(|stream| stream_state(state, stream, &positions));
    for outcome in futures::future::join_all(asked).await {
        match outcome {
            Ok(stream) => streams.push(stream),
            Err(error) => problems.push(format!("streams: {error:#}")),
        }
    }
    let report = state.context.health.report();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        instance: state.context.instance.clone(),
        now_us: now_us(),
        ready: report.ready,
        probes: report.probes.into_iter().map(ProbeState::from).collect(),
        leaders,
        streams,
        problems,
    }
}

async fn leaders(state: &ApiState) -> anyhow::Result<Vec<Leader>> {
    let entries = state.nats.kv(Bucket::Leases).await?.entries("").await?;
    let leader = |(task, value): (String, Vec<u8>)| {
        let LeaseHolder { owner, since_us } = LeaseHolder::read(&value)?;
        Some(Leader { task, owner, since_us })
    };
    let entries = entries.into_iter().map(|(task, entry)| (task, entry.value.to_vec()));
    Ok(entries.filter_map(leader).collect())
}

async fn stream_state(
    state: &ApiState,
    stream: Stream,
    positions: &[PositionRow],
) -> Result<StreamState, NatsError> {
    let found = state.nats.stream_state(stream.name()).await?;
    let position = positions.iter().find(|position| position.stream == stream.name());
    let stored_sequence = position.map(|position| position.sequence);
    Ok(StreamState {
        name: stream.name().to_owned(),
        messages: found.messages,
        bytes: found.bytes,
        fill_ratio: found.max_bytes.map(|limit| found.bytes as f64 / limit as f64),
        last_sequence: found.last_sequence,
        stored_sequence,
        behind: stored_sequence.map(|stored| found.last_sequence.saturating_sub(stored)),
    })
}
