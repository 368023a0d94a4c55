use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use crypto_intel_store::BlockLine;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    export::{self, Accepted, Column, Format, export},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{Finality, Page},
    parameters::{
        Asked, AtBoth, NoParameters, parameters, path_parameters,
        reader::Needed,
        values::{BlockNumber, ChainSlug, Limit, Value as _},
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
        /// As a file instead of pages; the header `Accept` says it, too. Its `next` is the height to go on below.
        pub(crate) format: Option<Format>,
    }
}

/// What a file of blocks has.
const COLUMNS: &[Column] = &[
    ("chain", "/chain"),
    ("block_number", "/block_number"),
    ("block_hash", "/block_hash"),
    ("parent_hash", "/parent_hash"),
    ("block_time_us", "/block_time_us"),
    ("observed_at_us", "/observed_at_us"),
    ("transactions", "/transactions"),
    ("event_rows", "/event_rows"),
    ("gas_used", "/gas_used"),
    ("gas_limit", "/gas_limit"),
    ("base_fee_per_gas", "/base_fee_per_gas"),
    ("partial", "/partial"),
    ("finality", "/finality"),
];

/// Blocks of a chain, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/blocks",
    tag = "chains",
    params(BlockParameters),
    responses((status = 200, content(
        (Page<BlockItem> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    as_of: AsOf,
    accepted: Accepted,
    asked: Asked<BlockParameters>,
) -> Result<Response, Problem> {
    let wanted = asked.parameters;
    let Some(format) = export::wanted(wanted.format, accepted) else {
        return page(&state, &caller, wanted, as_of).await.map(Page::into_response);
    };
    let file = export::List { name: "blocks", columns: COLUMNS };
    let range = (None, wanted.limit);
    let (own_state, own_caller) = (state.clone(), caller.clone());
    export(&state, &caller, (file, format), range, move |cursor, limit| {
        let (state, caller, as_of) = (own_state.clone(), own_caller.clone(), as_of.clone());
        let on = cursor.and_then(|cursor| BlockNumber::parse(&cursor.0).ok());
        let below = on.or(wanted.below);
        let wanted = BlockParameters { below, limit: Some(limit), ..wanted.clone() };
        async move {
            let found = page(&state, &caller, wanted, as_of).await?;
            // Heights are a cursor of their own; at the last one there is nothing below.
            let last =
                found.items.last().filter(|_| found.items.len() as u64 >= u64::from(limit.0));
            let next = last.map(|last| last.block_number.to_string());
            Ok(Page { next, ..found })
        }
    })
    .await
}

/// A page of blocks.
async fn page(
    state: &ApiState,
    caller: &Caller,
    wanted: BlockParameters,
    AsOf(as_of): AsOf,
) -> Result<Page<BlockItem>, Problem> {
    let chain = wanted.chain.0.0;
    if !caller.sees(&chain) {
        return Ok(Page::whole(Vec::new()));
    }
    let below = wanted.below.map(|number| number.0);
    let limit = Limit::or_default(wanted.limit);
    let lines = state.store.blocks(&chain, below, None, limit).await?;
    let items = items(state, &chain, lines).await?;
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
