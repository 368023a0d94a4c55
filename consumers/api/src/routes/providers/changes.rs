//! What operators do about a provider: try it, pause it, go on with it.

use std::time::Duration;

use axum::{Extension, Json, extract::State};
use crypto_intel_poll::{
    NewPause, Pause, PauseError, ProviderSummary, Tried, TriedEndpoint, pause, resume,
    try_elsewhere,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{OfProvider, unknown};
use crate::{
    auth::{Caller, scopes::Scope},
    change::Changed,
    guard::Guard,
    limits::cost,
    parameters::{Asked, At, NoParameters, body::Body, values::Name},
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// How long a request waits for what a try gives: shorter than it may take in all.
const TRY_WAIT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let write = Guard::new(Scope::OperationsWrite, cost::SUMMARY);
    OpenApiRouter::new()
        .routes(write.doing("provider.try").of(routes!(attempt)))
        .routes(write.doing("provider.pause").of(routes!(begin_pause)))
        .routes(write.doing("provider.resume").of(routes!(end_pauses)))
}

/// A provider, or one endpoint of it, that is not asked for a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PauseItem {
    /// The provider.
    provider: String,
    /// The endpoint; null: all of the provider.
    endpoint: Option<String>,
    /// Who made it.
    by: String,
    /// Why.
    reason: String,
    /// Since when, microseconds UTC.
    since_us: i64,
    /// Until when, microseconds UTC.
    until_us: i64,
}

impl From<&Pause> for PauseItem {
    fn from(pause: &Pause) -> Self {
        Self {
            provider: pause.provider.clone(),
            endpoint: pause.endpoint.clone(),
            by: pause.by.clone(),
            reason: pause.reason.clone(),
            since_us: pause.since_us,
            until_us: pause.until_us,
        }
    }
}

impl From<PauseError> for Problem {
    fn from(error: PauseError) -> Self {
        match error {
            PauseError::Bucket(error) => error.into(),
            PauseError::Endpoint { .. } | PauseError::Length | PauseError::Reason => {
                Self::unprocessable(error.to_string())
            }
        }
    }
}

/// Which part of a provider.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartBody {
    /// One endpoint; all of them without a word.
    #[schema(min_length = 1, max_length = 128)]
    endpoint: Option<String>,
}

/// A pause to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    /// One endpoint; all of them without a word.
    #[schema(min_length = 1, max_length = 128)]
    endpoint: Option<String>,
    /// How long it lasts from now on, seconds; at most 7 days.
    #[schema(minimum = 1, maximum = 604_800)]
    seconds: u32,
    /// Why; others read it.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

async fn summary_of(state: &ApiState, name: &str) -> Result<ProviderSummary, Problem> {
    let all = state.sources.reports(&state.nats).await?;
    let found = all.iter().find(|(summary, _)| summary.name == name);
    found.map(|(summary, _)| summary.clone()).ok_or_else(unknown)
}

/// Pauses a provider, or one endpoint of it: whichever instance polls it asks nothing until the pause ends, by itself or by `resume`. A
/// pause of the same is replaced. What is missing then is told as ever: rules about stale data fire.
#[utoipa::path(
    post,
    path = "/api/v1/providers/{name}/pause",
    tag = "operations",
    params(OfProvider),
    request_body = PauseBody,
    responses((status = 200, body = PauseItem), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn begin_pause(
    State(state): State<ApiState>,
    caller: Caller,
    At(name): At<Name>,
    _: Asked<NoParameters>,
    Body(body): Body<PauseBody>,
) -> Result<(Extension<Changed>, Json<PauseItem>), Problem> {
    let summary = summary_of(&state, &name.0).await?;
    let new = NewPause {
        endpoint: body.endpoint.as_deref(),
        duration: Duration::from_secs(u64::from(body.seconds)),
        by: &caller.name,
        reason: &body.reason,
    };
    let made = pause(&state.nats, &summary, new).await?;
    Ok((Extension(Changed::of(made.target()).to(&made)), Json(PauseItem::from(&made))))
}

/// Pauses that ended.
#[derive(Debug, Serialize, ToSchema)]
struct Resumed {
    /// Those that held; none where nothing was paused.
    ended: Vec<PauseItem>,
}

/// Ends the pauses of a provider, those of its endpoints too, or that of one endpoint. It is asked again at once.
#[utoipa::path(
    post,
    path = "/api/v1/providers/{name}/resume",
    tag = "operations",
    params(OfProvider),
    request_body = PartBody,
    responses((status = 200, body = Resumed), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn end_pauses(
    State(state): State<ApiState>,
    At(name): At<Name>,
    _: Asked<NoParameters>,
    Body(body): Body<PartBody>,
) -> Result<(Extension<Changed>, Json<Resumed>), Problem> {
    let summary = summary_of(&state, &name.0).await?;
    let ended = resume(&state.nats, &summary.name, body.endpoint.as_deref()).await?;
    let changed = Extension(Changed::of(&summary.name).from(Some(&ended)));
    Ok((changed, Json(Resumed { ended: ended.iter().map(PauseItem::from).collect() })))
}

/// What a try gave. Nothing of it is published.
#[derive(Debug, Serialize, ToSchema)]
struct TriedItem {
    /// Each endpoint that was asked.
    runs: Vec<TriedEndpointItem>,
    /// Whether these are all; a try goes on for a minute at most, and an answer waits ten seconds for it.
    complete: bool,
    /// Why it was ended.
    problem: Option<String>,
}

/// What one endpoint answered.
#[derive(Debug, Serialize, ToSchema)]
struct TriedEndpointItem {
    /// Its name.
    endpoint: String,
    /// Time until the answer was read, or the failure, milliseconds.
    elapsed_ms: u64,
    /// Why there is no answer.
    error: Option<String>,
    /// Events that would have been published.
    events: usize,
    /// Parts of the answer that give no event, each with the reason; the first twenty.
    dropped: Vec<String>,
    /// What was asked for and is not in the answer; the first twenty.
    missing: Vec<String>,
}

impl From<Tried> for TriedItem {
    fn from(tried: Tried) -> Self {
        let item = |run: TriedEndpoint| TriedEndpointItem {
            endpoint: run.endpoint,
            elapsed_ms: run.elapsed_ms,
            error: run.error,
            events: run.events,
            dropped: run.dropped,
            missing: run.missing,
        };
        let runs = tried.runs.into_iter().map(item).collect();
        Self { runs, complete: tried.complete, problem: tried.problem }
    }
}

/// Has the instance that polls a provider request it once, beside its schedule and any pause, and tells what came; nothing is published. It
/// does what `crypto-intel providers try` does.
#[utoipa::path(
    post,
    path = "/api/v1/providers/{name}/try",
    tag = "operations",
    params(OfProvider),
    request_body = PartBody,
    responses((status = 200, body = TriedItem), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn attempt(
    State(state): State<ApiState>,
    At(name): At<Name>,
    _: Asked<NoParameters>,
    Body(body): Body<PartBody>,
) -> Result<(Extension<Changed>, Json<TriedItem>), Problem> {
    let summary = summary_of(&state, &name.0).await?;
    let endpoint = body.endpoint.as_deref();
    if let Some(endpoint) = endpoint
        && !summary.endpoints.iter().any(|known| known.name == endpoint)
    {
        let detail = "endpoint: there is none of this name; /api/v1/providers/{name} lists them";
        return Err(Problem::unprocessable(detail));
    }
    if !summary.enabled {
        let detail = "it is not polled, and only who polls it has its key: use `crypto-intel providers try` there";
        return Err(Problem::unprocessable(detail));
    }
    let id = format!("{:016x}", rand::random::<u64>());
    let tried = try_elsewhere(&state.nats, &id, &summary.name, endpoint, TRY_WAIT).await?;
    let tried = tried.ok_or_else(|| {
        let detail = "no instance that polls it answered: /api/v1/status says who leads";
        Problem::new(ProblemKind::Unavailable, detail).after(TRY_WAIT)
    })?;
    let target = match endpoint {
        Some(endpoint) => format!("{}/{endpoint}", summary.name),
        None => summary.name,
    };
    Ok((Extension(Changed::of(target)), Json(TriedItem::from(tried))))
}
