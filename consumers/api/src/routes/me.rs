use axum::Json;
use crypto_intel_schemas::ApiRole;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::Guard,
    limits::cost,
    parameters::{Asked, NoParameters},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(Guard::new(Scope::Chain, cost::LOOK_UP).of(routes!(me)))
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// Id of the key; null for a client without one.
    key: Option<String>,
    /// Whose key it is.
    name: String,
    /// viewer, analyst, operator or admin.
    role: &'static str,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// Chains that it may see; null for all.
    chains: Option<Vec<String>>,
}

/// Who the key belongs to, and what it may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "access", responses((status = 200, body = Me)))]
async fn me(caller: Caller, _: Asked<NoParameters>) -> Json<Me> {
    let role: ApiRole = caller.role;
    Json(Me {
        key: caller.key,
        name: caller.name,
        role: role.as_str(),
        scopes: Scope::of(role).map(Scope::as_str).collect(),
        chains: caller.chains,
    })
}
