//! How old the newest of each provider is, against the age at which it does not count any more.

use axum::extract::State;
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
        values::{Flag, Limit, Name},
    },
    problem::Problem,
    routes::alias::also_at,
    sources::polled,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::Operations, cost::LIST);
    OpenApiRouter::new().routes(also_at("/api/freshness", guard.of(routes!(list))))
}

/// How old the newest of something is.
#[derive(Debug, Serialize, ToSchema)]
struct FreshnessItem {
    /// The provider.
    provider: String,
    /// The endpoint whose last good answer this is about; null where it is about what the provider says of a fact.
    endpoint: Option<String>,
    /// What the provider says something of, such as `price of bitcoin/usd`; null where it is about an endpoint.
    fact: Option<String>,
    /// The asset of a price.
    asset: Option<String>,
    /// Of an endpoint the beginning of the last slot with a good answer, of a fact its time according to the provider; microseconds
    /// UTC. Null before the first answer.
    at_us: Option<i64>,
    /// How long ago that was, seconds.
    age_seconds: Option<u64>,
    /// From which age on it is stale, seconds.
    limit_seconds: u64,
    /// Whether it is.
    stale: bool,
}

impl FreshnessItem {
    fn new(provider: &str, at_us: Option<i64>, limit_seconds: u64, now_us: i64) -> Self {
        let age =
            at_us.map(|at_us| (now_us.saturating_sub(at_us) / 1_000_000).max(0).unsigned_abs());
        Self {
            provider: provider.to_owned(),
            endpoint: None,
            fact: None,
            asset: None,
            at_us,
            age_seconds: age,
            limit_seconds,
            // Before the first answer it is not known since when it is awaited.
            stale: age.is_some_and(|age| age > limit_seconds),
        }
    }

    /// Age in thousandths of the limit: what is the nearest to it, or the farthest beyond.
    fn share(&self) -> u64 {
        let age = self.age_seconds.unwrap_or(0);
        age.saturating_mul(1_000) / self.limit_seconds.max(1)
    }
}

/// The asset of `price of bitcoin/usd`.
fn asset_of(fact: &str) -> Option<String> {
    let (asset, _) = fact.strip_prefix("price of ")?.rsplit_once('/')?;
    Some(asset.to_owned())
}

parameters! {
    /// Which ages.
    pub(crate) struct FreshnessParameters {
        /// Only of this provider.
        pub(crate) provider: Option<Name>,
        /// Only prices of this asset, such as bitcoin.
        pub(crate) asset: Option<Name>,
        /// With true only what is stale.
        pub(crate) stale: Option<Flag>,
        /// How many at most.
        pub(crate) limit: Option<Limit>,
    }
}

/// How old the last good answer of each polled endpoint is, and the last word of each provider about prices, indices and metrics that
/// several give; what is the farthest beyond its limit first.
#[utoipa::path(
    get,
    path = "/api/v1/freshness",
    tag = "operations",
    params(FreshnessParameters),
    responses((status = 200, body = Page<FreshnessItem>))
)]
async fn list(
    State(state): State<ApiState>,
    asked: Asked<FreshnessParameters>,
) -> Result<Page<FreshnessItem>, Problem> {
    let wanted = asked.parameters;
    let only_stale = wanted.stale.is_some_and(|flag| flag.0);
    let (endpoints, facts) = tokio::try_join!(endpoints(&state), facts(&state))?;
    let mut items: Vec<FreshnessItem> = endpoints
        .into_iter()
        .chain(facts)
        .filter(|item| wanted.provider.as_ref().is_none_or(|one| one.0 == item.provider))
        .filter(|item| wanted.asset.as_ref().is_none_or(|one| item.asset.as_ref() == Some(&one.0)))
        .filter(|item| !only_stale || item.stale)
        .collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.share()));
    let mut warnings = state.sources.warnings().await?;
    let limit = Limit::or_default(wanted.limit) as usize;
    if items.len() > limit {
        let more = items.len() - limit;
        warnings
            .push(format!("{more} more are younger: ask with provider, asset or a higher limit"));
        items.truncate(limit);
    }
    Ok(Page { warnings, ..Page::whole(items) })
}

async fn endpoints(state: &ApiState) -> Result<Vec<FreshnessItem>, Problem> {
    let all = state.sources.reports(&state.nats).await?;
    let now_us = now_us();
    let items = polled(&all, None)
        .flat_map(|(summary, report)| report.endpoints.iter().map(move |one| (summary, one)))
        .filter(|(_, endpoint)| endpoint.enabled)
        .map(|(summary, endpoint)| {
            let (at_us, limit) = (endpoint.last_slot_us, endpoint.stale_after_seconds);
            let item = FreshnessItem::new(&summary.name, at_us, limit, now_us);
            FreshnessItem { endpoint: Some(endpoint.name.clone()), ..item }
        });
    Ok(items.collect())
}

async fn facts(state: &ApiState) -> Result<Vec<FreshnessItem>, Problem> {
    let all = state.sources.facts(&state.nats).await?;
    let now_us = now_us();
    let items = all.iter().flat_map(|(report, limit)| {
        report.sources.iter().map(move |said| FreshnessItem {
            fact: Some(report.fact.clone()),
            asset: asset_of(&report.fact),
            ..FreshnessItem::new(&said.source, Some(said.at_us), u64::from(*limit), now_us)
        })
    });
    Ok(items.collect())
}
