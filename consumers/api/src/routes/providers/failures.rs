//! What went wrong with providers.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use crypto_intel_schemas::Stream;
use crypto_intel_store::{FailureCount, FailureFilter, FailureKey, ProviderLine};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::scopes::Scope,
    cursor::ListId,
    guard::{AsOf, Guard},
    limits::cost,
    page::{Page, Turn, Window},
    parameters::{
        Asked, parameters,
        values::{CursorText, Limit, Moment, Name},
    },
    problem::Problem,
    routes::alias::also_at,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Operations, cost::LIST).by_position_of(&[Stream::Status]);
    OpenApiRouter::new().routes(also_at("/api/failures", guard.of(routes!(list))))
}

/// What a poller told while a provider was not well.
#[derive(Debug, Serialize, ToSchema)]
struct FailureItem {
    /// The provider; `facts` where a fact that is used has no fresh source.
    provider: String,
    /// The endpoint, or the fact; empty where all of the provider is meant.
    endpoint: String,
    /// late, failing, held, refused, quota_spent or off.
    state: String,
    /// When that was so, microseconds UTC.
    at_us: i64,
    /// Why: the last error, as far as one is known.
    detail: Option<String>,
    /// Seconds since its last good answer; null before the first one.
    stale_seconds: Option<i64>,
}

impl From<ProviderLine> for FailureItem {
    fn from(line: ProviderLine) -> Self {
        Self {
            provider: line.provider,
            endpoint: line.endpoint,
            state: line.state,
            at_us: line.at_us,
            detail: line.detail,
            stale_seconds: line.stale_seconds,
        }
    }
}

/// How often a provider told a state.
#[derive(Debug, Serialize, ToSchema)]
struct CountItem {
    /// The provider.
    provider: String,
    /// The state.
    state: String,
    /// How often it was told: each change at once, and what stays so every five minutes.
    told: i64,
    /// When it was told first, microseconds UTC.
    first_us: i64,
    /// When it was told last, microseconds UTC.
    last_us: i64,
}

impl From<FailureCount> for CountItem {
    fn from(count: FailureCount) -> Self {
        let (first_us, last_us) = count.first_last_us;
        Self { provider: count.provider, state: count.state, told: count.told, first_us, last_us }
    }
}

/// A page of failures, and how many there are of each kind in all of the time.
#[derive(Debug, Serialize, ToSchema)]
struct Failures {
    #[serde(flatten)]
    page: Page<FailureItem>,
    /// By provider and state, the most often told first.
    counts: Vec<CountItem>,
}

impl IntoResponse for Failures {
    fn into_response(self) -> Response {
        let links = self.page.header_links();
        let mut response = Json(self).into_response();
        response.extensions_mut().insert(links);
        response
    }
}

parameters! {
    /// Which failures.
    pub(crate) struct FailureParameters {
        /// Only of this provider.
        pub(crate) provider: Option<Name>,
        /// Only in this state; may be repeated.
        pub(crate) state: Vec<Name>,
        /// Told from then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Told up to then; now without a word.
        pub(crate) until: Option<Moment>,
        /// How many a page has.
        pub(crate) limit: Option<Limit>,
        /// `next` or `prev` of a page before.
        pub(crate) cursor: Option<CursorText>,
    }
}

/// What pollers told of providers that were not well, newest first, and how often of each kind.
#[utoipa::path(
    get,
    path = "/api/v1/failures",
    tag = "operations",
    params(FailureParameters),
    responses((status = 200, body = Failures))
)]
async fn list(
    State(state): State<ApiState>,
    AsOf(as_of): AsOf,
    asked: Asked<FailureParameters>,
) -> Result<Failures, Problem> {
    let list = ListId::new("/failures", &asked.filters);
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let turn = Turn::new(list, wanted.cursor.as_ref(), window, wanted.limit)?;
    let window = turn.window;
    let filter = FailureFilter {
        provider: wanted.provider.map(|provider| provider.0),
        states: wanted.state.into_iter().map(|state| state.0).collect(),
        since_us: window.since_us,
        until_us: window.until_us,
    };
    let (found, counts) = tokio::try_join!(
        state.store.provider_failures(&filter, &turn.request),
        state.store.provider_failure_counts(&filter),
    )?;
    let key = |line: &ProviderLine| FailureKey {
        at_us: line.at_us,
        provider: line.provider.clone(),
        endpoint: line.endpoint.clone(),
    };
    let (next, prev) = turn.links(&found, key);
    let items = found.rows.into_iter().map(FailureItem::from).collect();
    let page = Page { next, prev, window: Some(window), as_of, ..Page::whole(items) };
    Ok(Failures { page, counts: counts.into_iter().map(CountItem::from).collect() })
}
