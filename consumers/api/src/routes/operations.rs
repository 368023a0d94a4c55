//! What operators look at beside providers: endpoints of chains, reorganisations.

use axum::extract::State;
use crypto_intel_schemas::Stream;
use crypto_intel_store::{NodeLine, ReorgLine};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{Page, Window},
    parameters::{
        Asked, NoParameters, parameters,
        values::{ChainSlug, Limit, Moment},
    },
    problem::Problem,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let of_status = Guard::new(Scope::Operations, cost::LIST).by_position_of(&[Stream::Status]);
    OpenApiRouter::new()
        .routes(of_status.of(routes!(nodes)))
        .routes(Guard::new(Scope::Chain, cost::LIST).by_position_of(OF_CHAINS).of(routes!(reorgs)))
}

/// How an endpoint of a chain did last, as one producer sees it.
#[derive(Debug, Serialize, ToSchema)]
struct NodeItem {
    /// The chain.
    chain: String,
    /// Its configured name, or its host.
    endpoint: String,
    /// The producer that says so.
    instance: String,
    /// primary or fallback.
    role: String,
    /// Why it serves or does not: serving, standby, fallback, slow, behind, errors, failed, resting or disconnected.
    reason: String,
    /// Whether it is connected.
    connected: bool,
    /// Whether it is the one that is asked first.
    serving: bool,
    /// Its newest block; null while none is known.
    head: Option<i64>,
    /// Blocks from its head up to the highest of all.
    lag_blocks: Option<i64>,
    /// Mean time to an answer, milliseconds.
    latency_ms: Option<i64>,
    /// Recent requests that failed, percent.
    error_percent: i32,
    /// Why its connection was lost or refused last.
    error: Option<String>,
    /// When that was so, microseconds UTC.
    at_us: i64,
}

impl From<NodeLine> for NodeItem {
    fn from(line: NodeLine) -> Self {
        Self {
            chain: line.chain,
            endpoint: line.endpoint,
            instance: line.instance,
            role: line.role,
            reason: line.reason,
            connected: line.connected_serving.0,
            serving: line.connected_serving.1,
            head: line.head,
            lag_blocks: line.lag_blocks,
            latency_ms: line.latency_ms,
            error_percent: line.error_percent,
            error: line.error,
            at_us: line.at_us,
        }
    }
}

/// How each endpoint of chains did last, of those told of within a day.
#[utoipa::path(
    get,
    path = "/api/v1/nodes",
    tag = "operations",
    responses((status = 200, body = Page<NodeItem>))
)]
async fn nodes(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Page<NodeItem>, Problem> {
    let lines = state.store.newest_nodes().await?.into_iter();
    Ok(Page::whole(lines.filter(|line| caller.sees(&line.chain)).map(NodeItem::from).collect()))
}

parameters! {
    /// Which reorganisations.
    pub(crate) struct ReorgParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// From then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
        /// How many at most.
        pub(crate) limit: Option<Limit>,
    }
}

/// A time that a chain changed its mind.
#[derive(Debug, Serialize, ToSchema)]
struct ReorgItem {
    /// The chain.
    chain: String,
    /// Height of the first new block.
    block_number: u64,
    /// Its hash.
    block_hash: String,
    /// Its own time, microseconds UTC.
    block_time_us: i64,
    /// When the pipeline saw it, microseconds UTC.
    observed_at_us: i64,
    /// How many blocks left.
    depth: u32,
    /// Last block that both branches share.
    ancestor_number: u64,
    /// Hashes of the blocks that left, newest first.
    dropped: Vec<String>,
}

impl From<ReorgLine> for ReorgItem {
    fn from(line: ReorgLine) -> Self {
        Self {
            chain: line.chain,
            block_number: line.block_number,
            block_hash: format!("{:#x}", line.block_hash),
            block_time_us: line.block_time_us,
            observed_at_us: line.observed_at_us,
            depth: line.depth,
            ancestor_number: line.ancestor_number,
            dropped: line.dropped.iter().map(|hash| format!("{hash:#x}")).collect(),
        }
    }
}

/// Reorganisations of chains, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/reorgs",
    tag = "chains",
    params(ReorgParameters),
    responses((status = 200, body = Page<ReorgItem>))
)]
async fn reorgs(
    State(state): State<ApiState>,
    caller: Caller,
    AsOf(as_of): AsOf,
    asked: Asked<ReorgParameters>,
) -> Result<Page<ReorgItem>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let chains = caller.chains_of(&chains);
    let limit = Limit::or_default(wanted.limit);
    let Window { since_us, until_us } = window;
    let lines = state.store.reorgs(chains.as_deref(), since_us, until_us, limit).await?;
    let items = lines.into_iter().map(ReorgItem::from).collect();
    Ok(Page { window: Some(window), as_of, ..Page::whole(items) })
}
