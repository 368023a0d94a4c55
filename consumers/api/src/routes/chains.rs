use axum::extract::State;
use crypto_intel_service::now_us;
use crypto_intel_store::ChainHead;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{Asked, NoParameters},
    problem::Problem,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    // Not by position: the age of a block that does not change does.
    OpenApiRouter::new().routes(Guard::new(Scope::Chain, cost::LOOK_UP).of(routes!(list)))
}

/// How far a chain is stored.
#[derive(Debug, Serialize, ToSchema)]
struct ChainState {
    /// Its name, as in subjects and other routes.
    chain: String,
    /// EIP-155 chain id.
    chain_id: u64,
    /// The newest stored block.
    block_number: u64,
    /// Its hash.
    block_hash: String,
    /// The block's own time, microseconds UTC.
    block_time_us: i64,
    /// How old it is, seconds; never negative.
    age_seconds: i64,
    /// How long it took from its sight to its row, milliseconds.
    stored_after_ms: i64,
    /// The highest block that will hardly leave the chain; null where the chain does not say.
    safe_number: Option<u64>,
    /// The highest block that cannot leave the chain.
    finalized_number: u64,
    /// Mean time between blocks of late, seconds; null with one block.
    block_seconds: Option<f64>,
}

impl ChainState {
    fn new(head: &ChainHead, now: i64) -> Self {
        Self {
            chain: head.chain.clone(),
            chain_id: head.chain_id,
            block_number: head.block_number,
            block_hash: format!("{:#x}", head.block_hash),
            block_time_us: head.block_time_us,
            age_seconds: (now - head.block_time_us).max(0) / 1_000_000,
            stored_after_ms: (head.stored_at_us - head.observed_at_us).max(0) / 1_000,
            safe_number: head.safe_number,
            finalized_number: head.finalized_number,
            block_seconds: head.block_seconds,
        }
    }
}

/// Every chain with its newest stored block, by name.
#[utoipa::path(
    get,
    path = "/api/v1/chains",
    tag = "chains",
    responses((status = 200, body = Page<ChainState>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Page<ChainState>, Problem> {
    let heads = state.heads().await?;
    let now = now_us();
    let seen = heads.iter().filter(|head| caller.sees(&head.chain));
    Ok(Page::whole(seen.map(|head| ChainState::new(head, now)).collect()))
}
