//! How endpoints of providers keep to their schedules.

use axum::extract::State;
use crypto_intel_poll::{EndpointReport, Pause, ProviderReport};
use crypto_intel_service::now_us;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::scopes::Scope,
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{
        Asked, parameters,
        values::{Flag, Name},
    },
    problem::Problem,
    routes::alias::also_at,
    sources::polled,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Operations, cost::LIST);
    OpenApiRouter::new().routes(also_at("/api/schedule", guard.of(routes!(list))))
}

/// How one endpoint keeps to its schedule.
#[derive(Debug, Serialize, ToSchema)]
struct SlotItem {
    /// The provider.
    provider: String,
    /// The endpoint.
    endpoint: String,
    /// Seconds from one poll to the next.
    every_seconds: u64,
    /// Beginning of the last slot with a good answer, microseconds UTC; null before the first one.
    last_us: Option<i64>,
    /// When it is due next, microseconds UTC; a moment that has passed: it is due now.
    next_us: i64,
    /// Seconds since the poll after the last one was due; null while it is not.
    late_seconds: Option<u64>,
    /// Whether that is more than half of the time between two polls, or five minutes, without a pause.
    late: bool,
    /// Until when people paused it, microseconds UTC.
    paused_until_us: Option<i64>,
    /// Remembered slots that were done on time, percent, decimal text; null before the first one.
    on_time_percent: Option<String>,
    /// How many slots are remembered, at most 100.
    slots: usize,
}

impl SlotItem {
    fn new(name: &str, provider: &ProviderReport, report: &EndpointReport, now_us: i64) -> Self {
        let holds = |pause: &&Pause| {
            pause.is_active(now_us) && pause.endpoint.as_ref().is_none_or(|one| *one == report.name)
        };
        let paused_until_us =
            provider.pauses.iter().filter(holds).map(|pause| pause.until_us).max();
        Self {
            provider: name.to_owned(),
            endpoint: report.name.clone(),
            every_seconds: report.every_seconds,
            last_us: report.last_slot_us,
            next_us: report.next_slot_us,
            late_seconds: report.late_seconds(now_us),
            late: report.is_late(now_us) && paused_until_us.is_none(),
            paused_until_us,
            on_time_percent: percent(report.on_time, report.slots),
            slots: report.slots,
        }
    }
}

/// A part of a whole, percent to two digits.
pub(super) fn percent(part: usize, whole: usize) -> Option<String> {
    let hundredths = (part * 10_000).checked_div(whole)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

parameters! {
    /// Which schedules.
    pub(crate) struct ScheduleParameters {
        /// Only of this provider.
        pub(crate) provider: Option<Name>,
        /// With true only those that are late.
        pub(crate) late: Option<Flag>,
    }
}

/// When each endpoint that is polled was asked last and is asked next, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/schedule",
    tag = "operations",
    params(ScheduleParameters),
    responses((status = 200, body = Page<SlotItem>))
)]
async fn list(
    State(state): State<ApiState>,
    asked: Asked<ScheduleParameters>,
) -> Result<Page<SlotItem>, Problem> {
    let wanted = asked.parameters;
    let only_late = wanted.late.is_some_and(|flag| flag.0);
    let all = state.sources.reports(&state.nats).await?;
    let now_us = now_us();
    let mut items: Vec<SlotItem> = polled(&all, wanted.provider.as_ref())
        .flat_map(|(summary, report)| {
            report.endpoints.iter().map(move |one| (summary, report, one))
        })
        .filter(|(_, _, endpoint)| endpoint.enabled)
        .map(|(summary, report, endpoint)| SlotItem::new(&summary.name, report, endpoint, now_us))
        .filter(|item| !only_late || item.late)
        .collect();
    items.sort_by_key(|item| std::cmp::Reverse((item.late, item.late_seconds)));
    Ok(Page { warnings: state.sources.warnings().await?, ..Page::whole(items) })
}
