//! What is used of the quotas of providers.

use axum::extract::State;
use crypto_intel_poll::QuotaReport;
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
    OpenApiRouter::new().routes(also_at("/api/rate-limits", guard.of(routes!(list))))
}

/// What is used of one window of a quota, with one key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct LimitItem {
    /// The provider.
    provider: String,
    /// Place of the key in the configuration, from 1 on; null where the API does not have the keys.
    key: Option<usize>,
    /// second, minute, day or month.
    window: &'static str,
    /// Units used.
    used: u64,
    /// Units that there are.
    limit: u32,
    /// What is used of them, percent.
    used_percent: u64,
    /// When it begins again, microseconds UTC; null for windows that slide (second, minute).
    resets_at_us: Option<i64>,
    /// ok, near (from 80 % on) or spent.
    level: &'static str,
}

impl LimitItem {
    pub(super) fn new(provider: &str, quota: &QuotaReport) -> Self {
        Self {
            provider: provider.to_owned(),
            key: quota.key,
            window: quota.window,
            used: quota.used,
            limit: quota.limit,
            used_percent: quota.used * 100 / u64::from(quota.limit.max(1)),
            resets_at_us: quota.resets_at_us,
            level: match (quota.spent, quota.is_near()) {
                (true, _) => "spent",
                (false, true) => "near",
                (false, false) => "ok",
            },
        }
    }
}

parameters! {
    /// Which limits.
    pub(crate) struct LimitParameters {
        /// Only of this provider.
        pub(crate) provider: Option<Name>,
        /// With true only those of which 80 % or more are used.
        pub(crate) near: Option<Flag>,
    }
}

/// What is used of each quota of the providers that are polled, the fullest first. Providers that count our requests together have the
/// same numbers.
#[utoipa::path(
    get,
    path = "/api/v1/rate-limits",
    tag = "operations",
    params(LimitParameters),
    responses((status = 200, body = Page<LimitItem>))
)]
async fn list(
    State(state): State<ApiState>,
    asked: Asked<LimitParameters>,
) -> Result<Page<LimitItem>, Problem> {
    let wanted = asked.parameters;
    let only_near = wanted.near.is_some_and(|flag| flag.0);
    let all = state.sources.reports(&state.nats).await?;
    let mut items: Vec<LimitItem> = polled(&all, wanted.provider.as_ref())
        .flat_map(|(summary, report)| report.quotas.iter().map(move |one| (summary, one)))
        .filter(|(_, quota)| !only_near || quota.is_near())
        .map(|(summary, quota)| LimitItem::new(&summary.name, quota))
        .collect();
    // Stable: within equal shares by name.
    items.sort_by_key(|item| std::cmp::Reverse((item.level == "spent", item.used_percent)));
    Ok(Page { warnings: state.sources.warnings().await?, ..Page::whole(items) })
}
