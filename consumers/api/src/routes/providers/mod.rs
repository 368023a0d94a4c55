//! Polled providers: how they did last, and all that is known of one.

mod changes;
mod failures;
mod freshness;
mod limits;
mod schedule;

use axum::{Json, extract::State};
use crypto_intel_poll::{EndpointReport, EndpointSummary, ProviderReport, ProviderSummary};
use crypto_intel_schemas::{ProviderStatus, Stream};
use crypto_intel_service::now_us;
use crypto_intel_store::ProviderLine;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{changes::PauseItem, limits::LimitItem, schedule::percent};
use crate::{
    auth::scopes::Scope,
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{Asked, At, NoParameters, parameters, path_parameters, values::Name},
    problem::Problem,
    routes::alias::also_at,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Operations, cost::LIST);
    let of_status = guard.by_position_of(&[Stream::Status]);
    OpenApiRouter::new()
        .routes(also_at("/api/providers", of_status.of(routes!(list))))
        .routes(guard.of(routes!(one)))
        .merge(limits::routes())
        .merge(schedule::routes())
        .merge(freshness::routes())
        .merge(failures::routes())
        .merge(changes::routes())
}

/// How a polled endpoint did last.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderItem {
    /// The provider.
    provider: String,
    /// The endpoint; empty where all of the provider is meant.
    endpoint: String,
    /// ok, late, failing, held, refused, quota_spent or off.
    state: String,
    /// When that was so, microseconds UTC.
    at_us: i64,
    /// How long the last answer took, milliseconds.
    latency_ms: Option<i64>,
    /// The quota that is nearest to its end.
    quota: Option<Quota>,
    /// Seconds since its last good answer; null before the first one.
    stale_seconds: Option<i64>,
    /// Scheduled polls of the last day that were done on time, percent, decimal text.
    on_time_percent: Option<String>,
    /// Why it is in that state.
    detail: Option<String>,
}

/// What is used of a quota.
#[derive(Debug, Serialize, ToSchema)]
struct Quota {
    /// Units used.
    used: i64,
    /// Units that it has.
    limit: i64,
    /// What it is for: second, minute, day or month.
    window: String,
}

impl From<ProviderLine> for ProviderItem {
    fn from(line: ProviderLine) -> Self {
        Self {
            provider: line.provider,
            endpoint: line.endpoint,
            state: line.state,
            at_us: line.at_us,
            latency_ms: line.latency_ms,
            quota: line.quota.map(|(used, limit, window)| Quota { used, limit, window }),
            stale_seconds: line.stale_seconds,
            on_time_percent: line.on_time_percent,
            detail: line.detail,
        }
    }
}

impl From<&ProviderStatus> for ProviderItem {
    fn from(status: &ProviderStatus) -> Self {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let quota = match (status.quota_used, status.quota_limit, status.quota_window) {
            (Some(used), Some(limit), Some(window)) => Some(Quota {
                used: number(used),
                limit: number(limit),
                window: window.as_str().to_owned(),
            }),
            _ => None,
        };
        Self {
            provider: status.provider.clone(),
            endpoint: status.endpoint.clone().unwrap_or_default(),
            state: status.state.as_str().to_owned(),
            at_us: status.event_at_us,
            latency_ms: status.latency_ms.map(number),
            quota,
            stale_seconds: status.stale_seconds.map(number),
            on_time_percent: status.on_time_percent.as_ref().map(ToString::to_string),
            detail: status.detail.clone(),
        }
    }
}

parameters! {
    /// Which sources.
    pub(crate) struct ProviderParameters {
        /// Only in this state; may be repeated.
        pub(crate) state: Vec<Name>,
        /// Only of this provider.
        pub(crate) provider: Option<Name>,
    }
}

/// How each polled source and its endpoints did last, by name.
#[utoipa::path(
    get,
    path = "/api/v1/providers",
    tag = "operations",
    params(ProviderParameters),
    responses((status = 200, body = Page<ProviderItem>))
)]
async fn list(
    State(state): State<ApiState>,
    asked: Asked<ProviderParameters>,
) -> Result<Page<ProviderItem>, Problem> {
    let wanted = asked.parameters;
    let lines = state.store.newest_providers().await?.into_iter();
    let is_meant = |line: &ProviderLine| {
        (wanted.state.is_empty() || wanted.state.iter().any(|one| one.0 == line.state))
            && wanted.provider.as_ref().is_none_or(|one| one.0 == line.provider)
    };
    Ok(Page::whole(lines.filter(is_meant).map(ProviderItem::from).collect()))
}

/// A polled provider: what its file says, and how it does.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderDetail {
    /// Its name in the configuration and in events.
    name: String,
    /// Its own name.
    title: String,
    /// What it is about, such as market, exchange, gas or news.
    category: &'static str,
    /// Whether it is polled.
    enabled: bool,
    /// Whether it takes a key.
    takes_key: bool,
    /// Whether it is polled only with a key.
    needs_key: bool,
    /// Address of its documentation.
    documentation: Option<String>,
    /// Text that it requires beside its data.
    attribution: Option<String>,
    /// Source and date of what its file says.
    facts: String,
    /// The newest word of its poller; null where it was not polled for a week.
    told: Option<ProviderItem>,
    /// What is used of its quotas.
    limits: Vec<LimitItem>,
    /// What is asked of it.
    endpoints: Vec<EndpointItem>,
    /// Endpoints whose past can be asked for.
    histories: Vec<String>,
    /// What people paused of it.
    pauses: Vec<PauseItem>,
}

/// One endpoint of a provider.
#[derive(Debug, Serialize, ToSchema)]
struct EndpointItem {
    /// Its name.
    name: String,
    /// Kind of its events.
    kind: String,
    /// Whether it is polled, if its provider is.
    enabled: bool,
    /// Its state, where the newest word of the poller is about it or about all; else null.
    state: Option<String>,
    /// Seconds from one poll to the next.
    every_seconds: u64,
    /// Beginning of the last slot with a good answer, microseconds UTC.
    last_us: Option<i64>,
    /// When it is due next, microseconds UTC.
    next_us: i64,
    /// Seconds since the next poll was due; null while it is not.
    late_seconds: Option<u64>,
    /// Remembered slots (at most 100) that were done on time, percent, decimal text.
    on_time_percent: Option<String>,
    /// Seconds since the last slot with a good answer.
    age_seconds: Option<u64>,
    /// Seconds without a good answer after which it counts as stale.
    limit_seconds: u64,
}

impl EndpointItem {
    fn new(
        summary: &EndpointSummary,
        report: &EndpointReport,
        told: Option<&ProviderStatus>,
        now_us: i64,
    ) -> Self {
        let is_meant = |status: &&ProviderStatus| {
            status.endpoint.as_ref().is_none_or(|endpoint| *endpoint == summary.name)
        };
        Self {
            name: summary.name.clone(),
            kind: summary.kind.clone(),
            enabled: summary.enabled,
            state: told.filter(is_meant).map(|status| status.state.as_str().to_owned()),
            every_seconds: report.every_seconds,
            last_us: report.last_slot_us,
            next_us: report.next_slot_us,
            late_seconds: report.late_seconds(now_us),
            on_time_percent: percent(report.on_time, report.slots),
            age_seconds: report.age_seconds(now_us),
            limit_seconds: report.stale_after_seconds,
        }
    }
}

impl ProviderDetail {
    fn new(summary: &ProviderSummary, report: &ProviderReport) -> Self {
        let (now_us, told) = (now_us(), report.status.as_ref());
        let endpoints = summary.endpoints.iter().filter_map(|endpoint| {
            let report = report.endpoints.iter().find(|one| one.name == endpoint.name)?;
            Some(EndpointItem::new(endpoint, report, told, now_us))
        });
        Self {
            name: summary.name.clone(),
            title: summary.title.clone(),
            category: summary.category.as_str(),
            enabled: summary.enabled,
            takes_key: summary.takes_key,
            needs_key: summary.needs_key,
            documentation: summary.documentation.as_deref().map(without_query),
            attribution: summary.attribution.clone(),
            facts: summary.facts.clone(),
            told: told.map(ProviderItem::from),
            limits: report.quotas.iter().map(|one| LimitItem::new(&summary.name, one)).collect(),
            endpoints: endpoints.collect(),
            histories: summary.histories.clone(),
            pauses: report.pauses.iter().map(PauseItem::from).collect(),
        }
    }
}

/// What follows a question mark may be a key.
fn without_query(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}

path_parameters!(OfProvider { name: Name = "Its name, such as coingecko." });

/// What is known of a provider: its file, its quotas, how each endpoint keeps to its schedule. Neither keys nor addresses of endpoints
/// are told.
#[utoipa::path(
    get,
    path = "/api/v1/providers/{name}",
    tag = "operations",
    params(OfProvider),
    responses((status = 200, body = ProviderDetail), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn one(
    State(state): State<ApiState>,
    At(name): At<Name>,
    _: Asked<NoParameters>,
) -> Result<Json<ProviderDetail>, Problem> {
    let all = state.sources.reports(&state.nats).await?;
    let found = all.iter().find(|(summary, _)| summary.name == name.0);
    let (summary, report) = found.ok_or_else(unknown)?;
    Ok(Json(ProviderDetail::new(summary, report)))
}

fn unknown() -> Problem {
    Problem::not_found(
        "there is no provider of this name; `crypto-intel providers list --all` lists them",
    )
}
