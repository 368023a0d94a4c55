//! One file for each resource. A route is added in three steps:
//!
//! 1. A handler with `#[utoipa::path(…)]`: method, path, `tag`, `params(…)` (from `parameters!` and `path_parameters!`) and the answer
//!    of success. Failures are described by the guard. It returns `Result<…, Problem>`; questions go to `state.store`, whose SQL
//!    is in `platform/store/src/read`.
//! 2. A line in `routes()` of its file: `Guard::new(scope, cost).of(routes!(handler))`, with `by_position_of` where the answer
//!    follows from tables of streams alone.
//! 3. Where the file is new, a line in [`all`].
//!
//! `UPDATE_SCHEMAS=1 cargo nextest run -p crypto-intel-api openapi_file` then writes `schemas/openapi.json`.

mod alert_summary;
mod alerts;
mod alias;
pub(crate) mod anomalies;
mod articles;
mod audit;
mod blocks;
mod chains;
mod dead_letters;
mod gaps;
mod gas;
mod graph;
mod keys;
mod market;
mod me;
mod operations;
mod pools;
mod providers;
mod rules;
mod session;
mod silences;
mod status;
mod subscriptions;
mod tokens;
mod transactions;
mod wallets;

use utoipa_axum::router::OpenApiRouter;

use crate::state::ApiState;

/// Every described route.
pub(crate) fn all() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(status::routes())
        .merge(chains::routes())
        .merge(transactions::routes())
        .merge(tokens::routes())
        .merge(wallets::routes())
        .merge(pools::routes())
        .merge(gas::routes())
        .merge(graph::routes())
        .merge(alerts::routes())
        .merge(alert_summary::routes())
        .merge(blocks::routes())
        .merge(market::routes())
        .merge(articles::routes())
        .merge(anomalies::routes())
        .merge(audit::routes())
        .merge(keys::routes())
        .merge(operations::routes())
        .merge(dead_letters::routes())
        .merge(gaps::routes())
        .merge(providers::routes())
        .merge(rules::routes())
        .merge(session::routes())
        .merge(silences::routes())
        .merge(subscriptions::routes())
        .merge(me::routes())
}
