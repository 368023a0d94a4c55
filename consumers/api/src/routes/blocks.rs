use axum::extract::State;
use crypto_intel_store::BlockLine;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{Finality, Page},
    parameters::{
        Asked, AtBoth, NoParameters, parameters, path_parameters,
        reader::Needed,
        values::{BlockNumber, ChainSlug, Limit},
    },
    problem::Problem,
    state::ApiState,
};

/// Blocks that were seen at one height.
const MAX_AT_HEIGHT: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = |cost| Guard::new(Scope::Chain, cost).by_position_of(OF_CHAINS);
    OpenApiRouter::new()
        .routes(guard(cost::LIST).of(routes!(list)))
        .routes(guard(cost::LOOK_UP).of(routes!(at_height)))
}

/// A stored block.
#[derive(Debug, Serialize, ToSchema)]
struct BlockItem {
    /// The chain.
    chain: String,
    /// Height.
    block_number: u64,
    /// Hash of the block.
    block_hash: String,
    /// Hash of the block before.
    parent_hash: String,
    /// The block's own time, microseconds UTC.
    block_time_us: i64,
    /// When the pipeline first saw it, microseconds UTC.
    observed_at_us: i64,
    /// Whether it is the chain's block at its height; one that left the chain is not.
    canonical: bool,
    /// Whether only events of some addresses were fetched.
    partial: bool,
    /// Transactions in it.
    transactions: u32,
    /// Rows of its events.
    event_rows: u32,
    /// Gas that it used, decimal text.
    gas_used: String,
    /// Gas that it had room for, decimal text.
    gas_limit: String,
    /// Base fee per gas in wei, decimal text; null where the chain has none.
    base_fee_per_gas: Option<String>,
    /// How sure it is.
    finality: Finality,
}

async fn items(
    state: &ApiState,
    chain: &str,
    lines: Vec<BlockLine>,
) -> Result<Vec<BlockItem>, Problem> {
    let heads = state.heads().await?;
    let head = heads.iter().find(|head| head.chain == chain);
    let item = |line: BlockLine| BlockItem {
        chain: chain.to_owned(),
        block_number: line.block_number,
        block_hash: format!("{:#x}", line.block_hash),
        parent_hash: format!("{:#x}", line.parent_hash),
        block_time_us: line.block_time_us,
        observed_at_us: line.observed_at_us,
        canonical: line.canonical,
        partial: line.partial,
        transactions: line.transactions,
        event_rows: line.event_rows,
        gas_used: line.gas.0,
        gas_limit: line.gas.1,
        base_fee_per_gas: line.base_fee_per_gas,
        finality: Finality::of(line.block_number, head),
    };
    Ok(lines.into_iter().map(item).collect())
}

parameters! {
    /// Which blocks.
    pub(crate) struct BlockParameters {
        /// The chain.
        pub(crate) chain: Needed<ChainSlug>,
        /// Only blocks below this height: the page after one is below its last block.
        pub(crate) below: Option<BlockNumber>,
        /// How many a page has.
        pub(crate) limit: Option<Limit>,
    }
}

/// Blocks of a chain, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/blocks",
    tag = "chains",
    params(BlockParameters),
    responses((status = 200, body = Page<BlockItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    AsOf(as_of): AsOf,
    asked: Asked<BlockParameters>,
) -> Result<Page<BlockItem>, Problem> {
    let wanted = asked.parameters;
    let chain = wanted.chain.0.0;
    if !caller.sees(&chain) {
        return Ok(Page::whole(Vec::new()));
    }
    let below = wanted.below.map(|number| number.0);
    let limit = Limit::or_default(wanted.limit);
    let lines = state.store.blocks(&chain, below, None, limit).await?;
    let items = items(&state, &chain, lines).await?;
    Ok(Page { as_of, ..Page::whole(items) })
}

path_parameters!(OfBlock {
    chain: ChainSlug = "The chain.",
    number: BlockNumber = "Height of the block.",
});

/// Every block that was seen at a height, the chain's own first; those that left the chain after it.
#[utoipa::path(
    get,
    path = "/api/v1/blocks/{chain}/{number}",
    tag = "chains",
    params(OfBlock),
    responses((status = 200, body = Page<BlockItem>))
)]
async fn at_height(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, number): AtBoth<ChainSlug, BlockNumber>,
    _: Asked<NoParameters>,
) -> Result<Page<BlockItem>, Problem> {
    let lines = match caller.sees(&chain.0) {
        true => state.store.blocks(&chain.0, None, Some(number.0), MAX_AT_HEIGHT).await?,
        false => Vec::new(),
    };
    Ok(Page::whole(items(&state, &chain.0, lines).await?))
}
