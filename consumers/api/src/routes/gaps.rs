//! What is complete: ranges that live left to history, ranges that history still has to publish, and up to where audits found everything.

use axum::{Extension, Json, extract::State, http::StatusCode};
use crypto_intel_evm::{
    Gap, GapReason, Gaps, RequestError, Requested, read_verified, request_past,
};
use crypto_intel_schemas::Verified;
use crypto_intel_store::{ChainHead, JumpLine};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    change::Changed,
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{Page, Window},
    parameters::{
        Asked, AtBoth, NoParameters,
        body::Body,
        parameters, path_parameters,
        values::{BlockNumber, ChainSlug, Limit, Moment},
    },
    problem::{Problem, ProblemKind},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let of_chains = Guard::new(Scope::Chain, cost::LIST);
    let write = Guard::new(Scope::OperationsWrite, cost::LIST);
    OpenApiRouter::new()
        .routes(Guard::new(Scope::Operations, cost::LIST).of(routes!(gaps)))
        .routes(write.doing("backfill.queue").of(routes!(backfill)))
        .routes(write.doing("backfill.take_back").of(routes!(take_back)))
        .routes(of_chains.by_position_of(OF_CHAINS).of(routes!(jumps)))
        .routes(of_chains.of(routes!(verified)))
}

parameters! {
    /// Of which chains.
    pub(crate) struct GapParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// How many at most.
        pub(crate) limit: Option<Limit>,
    }
}

/// A range of blocks that history still has to publish.
#[derive(Debug, Serialize, ToSchema)]
struct GapItem {
    /// The chain.
    chain: String,
    /// First block of the range.
    from: u64,
    /// Last block of the range.
    to: u64,
    /// Why it is wanted: catch_up, traces, audit, backfill, watch, factory or scope.
    #[schema(value_type = String)]
    reason: GapReason,
    /// Only what touches this address is wanted.
    address: Option<String>,
    /// With an address: whether every block is looked into.
    every_block: bool,
    /// When it was queued, microseconds UTC.
    queued_at_us: i64,
    /// queued (nothing of it is published), begun, or held: `trouble` says why it does not go on.
    state: String,
    /// First block that is not published yet.
    next: u64,
    /// Blocks of the range.
    blocks: u64,
    /// Blocks that are published.
    published: u64,
    /// Blocks that are still to be published.
    remaining: u64,
    /// Why it does not go on.
    trouble: Option<String>,
}

impl GapItem {
    fn new(chain: &str, gap: Gap) -> Self {
        let state = match &gap.trouble {
            Some(_) => "held",
            None if gap.next > gap.from => "begun",
            None => "queued",
        };
        let remaining = gap.remaining();
        let blocks = gap.to.saturating_add(1).saturating_sub(gap.from);
        Self {
            chain: chain.to_owned(),
            from: gap.from,
            to: gap.to,
            reason: gap.reason,
            address: gap.address,
            every_block: gap.every_block,
            queued_at_us: gap.queued_at_us,
            state: state.to_owned(),
            next: gap.next,
            blocks,
            published: blocks.saturating_sub(remaining),
            remaining,
            trouble: gap.trouble,
        }
    }
}

/// Ranges that history still has to publish, by chain, those first that come first.
#[utoipa::path(
    get,
    path = "/api/v1/gaps",
    tag = "operations",
    params(GapParameters),
    responses((status = 200, body = Page<GapItem>))
)]
async fn gaps(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<GapParameters>,
) -> Result<Page<GapItem>, Problem> {
    let GapParameters { chain, limit } = asked.parameters;
    let limit = Limit::or_default(limit) as usize;
    let all = Gaps::list_all(&state.nats).await?;
    let is_meant = |name: &str| {
        caller.sees(name) && (chain.is_empty() || chain.iter().any(|one| one.0 == name))
    };
    let meant = all.into_iter().filter(|(name, _)| is_meant(name));
    let mut items = meant.flat_map(|(name, gaps)| {
        gaps.into_iter().map(|gap| GapItem::new(&name, gap)).collect::<Vec<_>>()
    });
    let shown: Vec<GapItem> = items.by_ref().take(limit).collect();
    let left = items.count();
    let mut page = Page::whole(shown);
    if left > 0 {
        page.warnings.push(format!("{left} more are queued: name a chain, or a higher limit"));
    }
    Ok(page)
}

/// A past range that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBackfill {
    /// The chain.
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    chain: String,
    /// First block.
    from: u64,
    /// Last block; what is not final is left to live.
    to: u64,
}

/// What was queued.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct QueuedRange {
    /// The chain.
    chain: String,
    /// Only what touches this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// First block.
    from: u64,
    /// Last block.
    to: u64,
    /// How many blocks that are.
    blocks: u64,
    /// Why it is less than what was asked for.
    note: Option<String>,
}

impl From<Requested> for QueuedRange {
    fn from(range: Requested) -> Self {
        let Requested { chain, address, from, to, blocks, note } = range;
        Self { chain, address, from, to, blocks, note }
    }
}

/// Queues a range of a stored chain, up to its last final block.
///
/// # Errors
/// When nothing in it is final, or the bucket does not answer.
pub(in crate::routes) async fn queue(
    state: &ApiState,
    head: &ChainHead,
    wanted: Gap,
) -> Result<QueuedRange, Problem> {
    let requested = request_past(&state.nats, &head.chain, head.finalized_number, wanted).await;
    requested.map(QueuedRange::from).map_err(|error| match error {
        RequestError::Failed(error) => error.into(),
        refused => Problem::unprocessable(refused.to_string()),
    })
}

/// Has the producer of a chain publish a past range again, as `crypto-intel backfill` does. What is stored already stays once.
#[utoipa::path(
    post,
    path = "/api/v1/backfill",
    tag = "operations",
    request_body = NewBackfill,
    responses((status = 202, body = QueuedRange))
)]
async fn backfill(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
    Body(new): Body<NewBackfill>,
) -> Result<(StatusCode, Extension<Changed>, Json<QueuedRange>), Problem> {
    if !caller.sees(&new.chain) {
        let detail = "the key is not for this chain";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let heads = state.heads().await?;
    let head = heads.iter().find(|head| head.chain == new.chain).ok_or_else(|| {
        let detail = "chain: nothing of it is stored; /api/v1/chains lists those that are";
        Problem::unprocessable(detail)
    })?;
    let wanted = Gap::new(new.from, new.to, GapReason::Backfill);
    let range = queue(&state, head, wanted).await?;
    let changed = Extension(Changed::of(&range.chain).to(&range));
    Ok((StatusCode::ACCEPTED, changed, Json(range)))
}

path_parameters!(OfBackfill {
    chain: ChainSlug = "The chain.",
    number: BlockNumber = "First block of the range."
});

/// Takes back a range that was asked for: what of it is not published yet is not published. What live and audits queued stays.
#[utoipa::path(
    delete,
    path = "/api/v1/backfill/{chain}/{number}",
    tag = "operations",
    params(OfBackfill),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn take_back(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, from): AtBoth<ChainSlug, BlockNumber>,
    _: Asked<NoParameters>,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let missing = || Problem::not_found("no range that was asked for begins at this block");
    if !caller.sees(&chain.0) {
        return Err(missing());
    }
    let gaps = Gaps::open(&state.nats, &chain.0).await?;
    let gap = gaps.take_back(from.0).await?.ok_or_else(missing)?;
    Ok((StatusCode::NO_CONTENT, Extension(Changed::of(chain.0).from(Some(&gap)))))
}

parameters! {
    /// Which jumps.
    pub(crate) struct JumpParameters {
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

/// A time that live left a range of blocks to history.
#[derive(Debug, Serialize, ToSchema)]
struct JumpItem {
    /// The chain.
    chain: String,
    /// First block of the range, which rules did not see.
    from_number: u64,
    /// Last block of the range.
    to_number: u64,
    /// Height of the first block after it.
    block_number: u64,
    /// Its hash.
    block_hash: String,
    /// Its own time, microseconds UTC.
    block_time_us: i64,
    /// When the pipeline saw it, microseconds UTC.
    observed_at_us: i64,
}

impl From<JumpLine> for JumpItem {
    fn from(line: JumpLine) -> Self {
        Self {
            chain: line.chain,
            from_number: line.from_number,
            to_number: line.to_number,
            block_number: line.block_number,
            block_hash: format!("{:#x}", line.block_hash),
            block_time_us: line.block_time_us,
            observed_at_us: line.observed_at_us,
        }
    }
}

/// Ranges that live left to history because it was too far behind, newest first. `/gaps` says what of them is still to be published.
#[utoipa::path(
    get,
    path = "/api/v1/jumps",
    tag = "chains",
    params(JumpParameters),
    responses((status = 200, body = Page<JumpItem>))
)]
async fn jumps(
    State(state): State<ApiState>,
    caller: Caller,
    AsOf(as_of): AsOf,
    asked: Asked<JumpParameters>,
) -> Result<Page<JumpItem>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let chains = caller.chains_of(&chains);
    let limit = Limit::or_default(wanted.limit);
    let Window { since_us, until_us } = window;
    let lines = state.store.jumps(chains.as_deref(), since_us, until_us, limit).await?;
    let items = lines.into_iter().map(JumpItem::from).collect();
    Ok(Page { window: Some(window), as_of, ..Page::whole(items) })
}

/// Up to which block audits found everything of a chain.
#[derive(Debug, Serialize, ToSchema)]
struct VerifiedItem {
    /// The chain.
    chain: String,
    /// First verified block; null where no audit ended yet.
    from: Option<u64>,
    /// Last verified block: everything from `from` up to here is stored.
    number: Option<u64>,
    /// Its hash.
    hash: Option<String>,
    /// What the chain was compared with: database or streams.
    against: Option<String>,
    /// When it was verified, microseconds UTC.
    at_us: Option<i64>,
    /// Digest of the scope that it is complete for; null for everything.
    scope: Option<String>,
    /// The highest final block that is stored.
    finalized_number: u64,
    /// Final blocks above the verified one; null where no audit ended yet.
    unverified_blocks: Option<u64>,
}

impl VerifiedItem {
    fn new(head: &ChainHead, verified: Option<Verified>) -> Self {
        let finalized_number = head.finalized_number;
        let verified = verified.as_ref();
        Self {
            chain: head.chain.clone(),
            from: verified.map(|one| one.from),
            number: verified.map(|one| one.number),
            hash: verified.map(|one| format!("{:#x}", one.hash)),
            against: verified.map(|one| one.against.clone()),
            at_us: verified.map(|one| one.at_us),
            scope: verified.and_then(|one| one.scope.clone()),
            finalized_number,
            unverified_blocks: verified.map(|one| finalized_number.saturating_sub(one.number)),
        }
    }
}

/// Up to which block `crypto-intel audit` found everything of each stored chain, by name.
#[utoipa::path(
    get,
    path = "/api/v1/verified",
    tag = "chains",
    responses((status = 200, body = Page<VerifiedItem>))
)]
async fn verified(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
) -> Result<Page<VerifiedItem>, Problem> {
    let heads = state.heads().await?;
    let mut items = Vec::new();
    for head in heads.iter().filter(|head| caller.sees(&head.chain)) {
        let verified = read_verified(&state.nats, &head.chain).await?;
        items.push(VerifiedItem::new(head, verified));
    }
    Ok(Page::whole(items))
}
