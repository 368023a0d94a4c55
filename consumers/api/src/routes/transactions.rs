use axum::{Json, extract::State};
use crypto_intel_schemas::Event;
use crypto_intel_store::{
    PageRequest, Side, StoredTransfer, TransferFilter, TransferKey, TransferKind,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    cursor::{Cursor, ListId},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{EventItem, Page, Turns, Window},
    parameters::{
        Asked, AtBoth, parameters, path_parameters,
        values::{
            AddressValue, BlockNumber, ChainSlug, CursorText, Dollars, Flag, HashValue, Limit,
            Moment, one_of,
        },
    },
    problem::Problem,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let of_rows = Guard::new(Scope::Chain, cost::LIST).by_position_of(OF_CHAINS);
    OpenApiRouter::new().routes(of_rows.of(routes!(list))).routes(of_rows.of(routes!(transaction)))
}

one_of!(TransferKind, [
    "native" => TransferKind::Native,
    "internal" => TransferKind::Internal,
    "erc20" => TransferKind::Erc20,
    "erc721" => TransferKind::Erc721,
    "erc1155" => TransferKind::Erc1155,
]);

one_of!(Side, ["out" => Side::Out, "in" => Side::In, "either" => Side::Either]);

parameters! {
    /// Which transfers.
    pub(crate) struct TransferParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// Only of this kind; may be repeated.
        pub(crate) kind: Vec<TransferKind>,
        /// Only those of this address.
        pub(crate) address: Option<AddressValue>,
        /// On which side `address` is; either without a word.
        pub(crate) direction: Option<Side>,
        /// Only of this token.
        pub(crate) token: Option<AddressValue>,
        /// With true only those that touch a watched address.
        pub(crate) watched: Option<Flag>,
        /// With true only native value and tokens on the list of known ones.
        pub(crate) verified: Option<Flag>,
        /// Only those worth at least so many US dollars.
        pub(crate) min_usd: Option<Dollars>,
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

/// Transfers of native value and tokens, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/transactions",
    tag = "transactions",
    params(TransferParameters),
    responses((status = 200, body = Page<EventItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    as_of: AsOf,
    asked: Asked<TransferParameters>,
) -> Result<Page<EventItem>, Problem> {
    let list = ListId::new("/transactions", &asked.filters);
    let wanted = asked.parameters;
    if wanted.direction.is_some() && wanted.address.is_none() {
        return Err(Problem::parameter("direction", "it is of `address`: give that, too"));
    }
    let side = wanted.direction.unwrap_or(Side::Either);
    let asked = Wanted {
        chains: wanted.chain,
        kinds: wanted.kind,
        address: wanted.address.map(|address| (address.0, side)),
        token: wanted.token,
        watched: wanted.watched.is_some_and(|flag| flag.0),
        verified: wanted.verified.is_some_and(|flag| flag.0),
        min_usd: wanted.min_usd,
        since: wanted.since,
        until: wanted.until,
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    transfers(&state, &caller, list, as_of, asked).await
}

/// What lists of transfers take, whatever their path says.
pub(super) struct Wanted {
    pub(super) chains: Vec<ChainSlug>,
    pub(super) kinds: Vec<TransferKind>,
    pub(super) address: Option<(crypto_intel_schemas::Address, Side)>,
    pub(super) token: Option<AddressValue>,
    pub(super) watched: bool,
    pub(super) verified: bool,
    pub(super) min_usd: Option<Dollars>,
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
    pub(super) limit: Option<Limit>,
    pub(super) cursor: Option<CursorText>,
}

/// A page of transfers.
pub(super) async fn transfers(
    state: &ApiState,
    caller: &Caller,
    list: ListId,
    AsOf(as_of): AsOf,
    wanted: Wanted,
) -> Result<Page<EventItem>, Problem> {
    let cursor: Option<Cursor<TransferKey>> =
        wanted.cursor.as_ref().map(|text| Cursor::decode(text, list)).transpose()?;
    let mut window = Window::new(wanted.since, wanted.until)?;
    if let Some(cursor) = &cursor {
        window.since_us = cursor.since_us;
    }
    let chains: Vec<String> = wanted.chains.into_iter().map(|chain| chain.0).collect();
    let filter = TransferFilter {
        chains: caller.chains_of(&chains),
        kinds: match wanted.kinds {
            kinds if kinds.is_empty() => TransferKind::ALL.to_vec(),
            kinds => kinds,
        },
        address: wanted.address,
        token: wanted.token.map(|token| token.0),
        watched: wanted.watched,
        verified: wanted.verified,
        min_usd: wanted.min_usd.map(|usd| usd.0),
        since_us: window.since_us,
        until_us: window.until_us,
    };
    let request =
        PageRequest { limit: Limit::or_default(wanted.limit), beside: Turns::beside(&cursor) };
    let (found, heads) = tokio::join!(state.store.transfers(&filter, &request), state.heads());
    let (found, heads) = (found?, heads?);
    let turns = Turns::new(&found, &request, |one: &StoredTransfer| one.key.clone());
    let (next, prev) = turns.encode(list, window.since_us);
    let mut events: Vec<Event> = found.rows.into_iter().filter_map(|one| one.event).collect();
    state.store.put_labels(&mut events).await?;
    Ok(Page {
        items: events.iter().map(|event| EventItem::new(event, &heads)).collect(),
        next,
        prev,
        window: Some(window),
        as_of,
        warnings: Vec::new(),
    })
}

path_parameters!(OfTransaction {
    chain: ChainSlug = "The chain.",
    hash: HashValue = "Hash of the transaction.",
});

parameters! {
    /// Where a transaction is.
    pub(crate) struct TransactionParameters {
        /// Number of its block: it is then found by that, else by a search for its hash.
        pub(crate) block: Option<BlockNumber>,
    }
}

/// A transaction.
#[derive(Debug, Serialize, ToSchema)]
struct TransactionAnswer {
    /// The chain.
    chain: String,
    /// Hash of the transaction.
    tx_hash: String,
    /// Its block.
    block_number: u64,
    /// Hash of the block.
    block_hash: String,
    /// The block's own time, microseconds UTC.
    block_time_us: i64,
    /// Its stored transfers, in the order of the chain.
    events: Vec<EventItem>,
}

/// A transaction with its stored transfers.
#[utoipa::path(
    get,
    path = "/api/v1/transactions/{chain}/{hash}",
    tag = "transactions",
    params(OfTransaction, TransactionParameters),
    responses((status = 200, body = TransactionAnswer), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn transaction(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, hash): AtBoth<ChainSlug, HashValue>,
    asked: Asked<TransactionParameters>,
) -> Result<Json<TransactionAnswer>, Problem> {
    let block = asked.parameters.block.map(|block| block.0);
    let missing = || {
        let place = block.map_or_else(String::new, |block| format!(" in block {block}"));
        Problem::not_found(format!("no stored event of {} names the transaction{place}", chain.0))
    };
    if !caller.sees(&chain.0) {
        return Err(missing());
    }
    let (events, heads) =
        tokio::join!(state.store.transfers_of(&chain.0, hash.0, block), state.heads());
    let (mut events, heads) = (events?, heads?);
    state.store.put_labels(&mut events).await?;
    let first = events.first().and_then(Event::block_fields).ok_or_else(missing)?;
    Ok(Json(TransactionAnswer {
        chain: chain.0.clone(),
        tx_hash: format!("{:#x}", hash.0),
        block_number: first.block_number,
        block_hash: format!("{:#x}", first.block_hash),
        block_time_us: first.block_time_us,
        events: events.iter().map(|event| EventItem::new(event, &heads)).collect(),
    }))
}
