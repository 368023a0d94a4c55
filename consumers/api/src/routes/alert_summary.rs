use axum::extract::State;
use crypto_intel_schemas::Stream;
use crypto_intel_store::AlertCount;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::Guard,
    limits::cost,
    page::{Page, Window},
    parameters::{
        Asked, parameters,
        values::{ChainSlug, Moment},
    },
    problem::Problem,
    state::ApiState,
};

const FINE_SECONDS: u32 = 300;
const HOUR_SECONDS: u32 = 3_600;
const DAY_SECONDS: u32 = 86_400;
/// Longer times are told by hours.
const MAX_FINE_US: i64 = 6 * HOUR_SECONDS as i64 * 1_000_000;
/// Longer times are told by days.
const MAX_HOURS_US: i64 = 2 * DAY_SECONDS as i64 * 1_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Alerts, cost::SUMMARY).by_position_of(&[Stream::Alert]);
    OpenApiRouter::new().routes(guard.of(routes!(summary)))
}

parameters! {
    /// Which alerts are counted.
    pub(crate) struct SummaryParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// Begun from then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Begun up to then; now without a word.
        pub(crate) until: Option<Moment>,
    }
}

/// How many alerts began in a step of time: five minutes, an hour where more than six hours were asked for, a day where more than two
/// days were.
#[derive(Debug, Serialize, ToSchema)]
struct AlertCountItem {
    /// When the step begins, microseconds UTC.
    bucket_us: i64,
    /// info, warning or critical.
    severity: String,
    /// Alerts that fired first in that time.
    alerts: u64,
    /// Those of them whose condition still lasts.
    ongoing: u64,
}

impl From<AlertCount> for AlertCountItem {
    fn from(count: AlertCount) -> Self {
        let AlertCount { bucket_us, severity, alerts, ongoing } = count;
        Self { bucket_us, severity, alerts, ongoing }
    }
}

/// How many alerts began by step of time and severity, oldest first; steps without one are left out.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/summary",
    tag = "alerts",
    params(SummaryParameters),
    responses((status = 200, body = Page<AlertCountItem>))
)]
async fn summary(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<SummaryParameters>,
) -> Result<Page<AlertCountItem>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let chains = caller.chains_of(&chains);
    let step = match window.until_us - window.since_us {
        long if long > MAX_HOURS_US => DAY_SECONDS,
        long if long > MAX_FINE_US => HOUR_SECONDS,
        _ => FINE_SECONDS,
    };
    let between = (window.since_us, window.until_us);
    let counts = state.store.alert_counts(chains.as_deref(), between, step).await?;
    let items = counts.into_iter().map(AlertCountItem::from).collect();
    Ok(Page { window: Some(window), ..Page::whole(items) })
}
