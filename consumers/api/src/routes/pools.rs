//! Pools of exchanges on chains: what is known of one, what was traded in it.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use crypto_intel_schemas::{Address, B256, Event, Swap};
use crypto_intel_service::now_us;
use crypto_intel_store::{PageRequest, PoolFilter, PoolVolume, SwapKey, SwapLine, VolumeStep};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ObjectBuilder, Type},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{tokens::VolumeParameters, wallets::Label};
use crate::{
    auth::{Caller, scopes::Scope},
    cursor::ListId,
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{EventItem, MAX_STEPS, Page, Turn, Window},
    parameters::{
        Asked, AtBoth, NoParameters, parameters, path_parameters,
        values::{ChainSlug, CursorText, Limit, Moment, Value},
    },
    problem::Problem,
    state::ApiState,
};

/// How far back it is looked for a swap of a pool.
const SEEN_WITHIN_US: i64 = 30 * 86_400_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = |cost| Guard::new(Scope::Chain, cost).by_position_of(OF_CHAINS);
    OpenApiRouter::new()
        .routes(guard(cost::LIST).of(routes!(pool)))
        .routes(guard(cost::SUMMARY).of(routes!(volume)))
        .routes(guard(cost::LIST).of(routes!(swaps)))
}

/// A pool: its address, or its id where one contract holds many (Uniswap V4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PoolValue {
    Address(Address),
    Id(B256),
}

impl PoolValue {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Address(address) => address.as_slice(),
            Self::Id(id) => id.as_slice(),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Address(address) => format!("{address:#x}"),
            Self::Id(id) => format!("{id:#x}"),
        }
    }
}

impl Value for PoolValue {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            "it is no pool: write 0x and the 40 hex digits of its address, or the 64 of its id";
        let digits = text.strip_prefix("0x").unwrap_or_default();
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = match digits.len() {
            40 if is_hex => text.parse().map(Self::Address).ok(),
            64 if is_hex => text.parse().map(Self::Id).ok(),
            _ => None,
        };
        value.ok_or_else(|| wrong.to_owned())
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^0x([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$"))
            .into()
    }
}

path_parameters!(OfPool {
    chain: ChainSlug = "The chain.",
    pool: PoolValue = "Address of the pool, or its id where one contract holds many.",
});

/// A token of a pool.
#[derive(Debug, Serialize, ToSchema)]
struct PoolToken {
    /// Its contract.
    address: String,
    /// Its symbol, where it is known.
    symbol: Option<String>,
    /// Digits after the point of a whole token, where they are known.
    decimals: Option<u8>,
    /// Whether it is verified by the list of known tokens.
    verified: bool,
}

/// What is known of a pool, by its newest swap.
#[derive(Debug, Serialize, ToSchema)]
struct Pool {
    /// The chain.
    chain: String,
    /// Its contract.
    address: String,
    /// Its id, where the contract holds many pools.
    pool_id: Option<String>,
    /// The form of its events, which forks share: anybody can emit them.
    protocol: String,
    /// Its first and its second token, as they moved in its newest swap; empty where more or fewer moved.
    tokens: Vec<PoolToken>,
    /// Square root of the price after that swap (second token per first), times 2^96, decimal text; null of Uniswap V2.
    sqrt_price_x96: Option<String>,
    /// Liquidity in range after that swap, decimal text; null of Uniswap V2.
    liquidity: Option<String>,
    /// Tick after that swap; null of Uniswap V2.
    tick: Option<i32>,
    /// What sources call the contract, the source first that is believed first.
    labels: Vec<Label>,
    /// Time of that swap's block, microseconds UTC.
    last_swap_at_us: i64,
    /// Transaction of that swap.
    last_tx_hash: String,
}

/// What is known of a pool by its newest swap, of the last 30 days.
#[utoipa::path(
    get,
    path = "/api/v1/pools/{chain}/{pool}",
    tag = "pools",
    params(OfPool),
    responses((status = 200, body = Pool), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn pool(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, value): AtBoth<ChainSlug, PoolValue>,
    _: Asked<NoParameters>,
) -> Result<Json<Pool>, Problem> {
    let missing = || {
        let (pool, chain) = (value.text(), &chain.0);
        Problem::not_found(format!("no swap of {pool} on {chain} was stored in the last 30 days"))
    };
    if !caller.sees(&chain.0) {
        return Err(missing());
    }
    let now = now_us();
    let filter = filter(&chain, value, (now - SEEN_WITHIN_US, now));
    let newest = PageRequest { limit: 1, beside: None };
    let found = state.store.swaps_of(&filter, &newest).await?;
    let swap = found.rows.into_iter().find_map(|line| line.swap).ok_or_else(missing)?;
    let (addresses, block) = ([swap.address], Some(swap.block_number));
    let (moved, labels) = tokio::join!(
        state.store.transfers_of(&chain.0, swap.tx_hash, block),
        state.store.labels_of(&addresses)
    );
    let tokens = tokens_of(&swap, &moved?).into_iter().map(|token| {
        let facts = state.tokens.get(&chain.0, &token).map(|(facts, _)| facts).unwrap_or_default();
        PoolToken {
            address: format!("{token:#x}"),
            symbol: facts.symbol,
            decimals: facts.decimals,
            verified: facts.verified,
        }
    });
    Ok(Json(Pool {
        address: format!("{:#x}", swap.address),
        pool_id: swap.pool_id.map(|id| format!("{id:#x}")),
        protocol: swap.protocol.as_str().to_owned(),
        tokens: tokens.collect(),
        sqrt_price_x96: swap.sqrt_price_x96.map(|price| price.to_string()),
        liquidity: swap.liquidity.map(|liquidity| liquidity.to_string()),
        tick: swap.tick,
        labels: labels?.of(&chain.0, &swap.address).map(Label::from).collect(),
        last_swap_at_us: swap.block_time_us,
        last_tx_hash: format!("{:#x}", swap.tx_hash),
        chain: chain.0,
    }))
}

/// The two tokens that came to the pool and left it, in the order of their addresses, which is that of the pool.
fn tokens_of(swap: &Swap, moved: &[Event]) -> Vec<Address> {
    let tokens: BTreeSet<Address> = moved
        .iter()
        .filter_map(|event| match event {
            Event::Erc20Transfer(one) if [one.from, one.to].contains(&swap.address) => {
                Some(one.address)
            }
            _ => None,
        })
        .collect();
    if tokens.len() == 2 { tokens.into_iter().collect() } else { Vec::new() }
}

fn filter(chain: &ChainSlug, pool: PoolValue, (since_us, until_us): (i64, i64)) -> PoolFilter {
    PoolFilter { chain: chain.0.clone(), pool: pool.bytes().to_vec(), since_us, until_us }
}

/// What was traded in a pool within a step. Amounts are in the smallest unit of the pool's tokens, decimal text.
#[derive(Debug, Serialize, ToSchema)]
struct PoolVolumeItem {
    /// Begin of the step, microseconds UTC.
    bucket_us: i64,
    /// How many swaps.
    swaps: u64,
    /// Traded of the first token.
    volume0: String,
    /// Traded of the second token.
    volume1: String,
    /// Paid in less paid out, of the first token.
    net0: String,
    /// Paid in less paid out, of the second token.
    net1: String,
}

impl From<PoolVolume> for PoolVolumeItem {
    fn from(volume: PoolVolume) -> Self {
        let PoolVolume { bucket_us, swaps, volumes: [volume0, volume1], nets: [net0, net1] } =
            volume;
        Self { bucket_us, swaps, volume0, volume1, net0, net1 }
    }
}

/// What was traded in a pool, by hour or day, oldest first; steps without a swap are left out. At most 5,000, the newest of the time
/// that is asked for.
#[utoipa::path(
    get,
    path = "/api/v1/pools/{chain}/{pool}/volume",
    tag = "pools",
    params(OfPool, VolumeParameters),
    responses((status = 200, body = Page<PoolVolumeItem>))
)]
async fn volume(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, value): AtBoth<ChainSlug, PoolValue>,
    AsOf(as_of): AsOf,
    asked: Asked<VolumeParameters>,
) -> Result<Page<PoolVolumeItem>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    if !caller.sees(&chain.0) {
        return Ok(Page { window: Some(window), as_of, ..Page::whole(Vec::new()) });
    }
    let step = wanted.step.unwrap_or(VolumeStep::Hour);
    let filter = filter(&chain, value, window.in_steps(step.us()));
    let found = state.store.pool_volume(step, &filter, MAX_STEPS).await?;
    Ok(Page::of_steps(found.into_iter().map(PoolVolumeItem::from).collect(), window, as_of))
}

parameters! {
    /// Which swaps.
    pub(crate) struct SwapParameters {
        /// From then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
        /// How many a page has.
        pub(crate) limit: Option<Limit>,
        /// `next` or `prev` of a page before.
        pub(crate) cursor: Option<CursorText>,
    }
}

/// Swaps of a pool, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/pools/{chain}/{pool}/swaps",
    tag = "pools",
    params(OfPool, SwapParameters),
    responses((status = 200, body = Page<EventItem>))
)]
async fn swaps(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, value): AtBoth<ChainSlug, PoolValue>,
    AsOf(as_of): AsOf,
    asked: Asked<SwapParameters>,
) -> Result<Page<EventItem>, Problem> {
    let path = format!("/pools/{}/{}/swaps", chain.0, value.text());
    let list = ListId::new(&path, &asked.filters);
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let turn: Turn<SwapKey> = Turn::new(list, wanted.cursor.as_ref(), window, wanted.limit)?;
    let window = turn.window;
    if !caller.sees(&chain.0) {
        return Ok(Page { window: Some(window), as_of, ..Page::whole(Vec::new()) });
    }
    let filter = filter(&chain, value, (window.since_us, window.until_us));
    let read = state.store.swaps_of(&filter, &turn.request);
    let (found, heads) = tokio::join!(read, state.heads());
    let (found, heads) = (found?, heads?);
    let (next, prev) = turn.links(&found, |line: &SwapLine| line.key.clone());
    let swaps = found.rows.into_iter().filter_map(|line| line.swap);
    let mut events: Vec<Event> = swaps.map(Event::from).collect();
    state.store.put_labels(&mut events).await?;
    let items = events.iter().map(|event| EventItem::new(event, &heads)).collect();
    Ok(Page { next, prev, window: Some(window), as_of, ..Page::whole(items) })
}
