use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::Event;
use crypto_intel_store::{
    Side, StoredTransfer, TransferFilter, TransferKind, WalkBudget, Walked, place_in_block,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    cursor::ListId,
    export::{self, Accepted, Column, Format, export},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{EventItem, Finality, Page, Turn, Window},
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
        /// As a file instead of pages; the header `Accept` says it, too.
        pub(crate) format: Option<Format>,
    }
}

/// Transfers of native value and tokens, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/transactions",
    tag = "transactions",
    params(TransferParameters),
    responses((status = 200, content(
        (Page<EventItem> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    as_of: AsOf,
    accepted: Accepted,
    asked: Asked<TransferParameters>,
) -> Result<Response, Problem> {
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
    let format = export::wanted(wanted.format, accepted);
    answer(&state, &caller, (list, as_of), asked, format).await
}

/// What a file of transfers has.
const COLUMNS: &[Column] = &[
    ("kind", "/kind"),
    ("chain", "/chain"),
    ("block_number", "/block_number"),
    ("block_time_us", "/block_time_us"),
    ("finality", "/finality"),
    ("tx_hash", "/tx_hash"),
    ("log_index", "/log_index"),
    ("from", "/from"),
    ("from_label", "/from_label"),
    ("to", "/to"),
    ("to_label", "/to_label"),
    ("token", "/address"),
    ("symbol", "/symbol"),
    ("token_verified", "/token_verified"),
    ("amount", "/amount"),
    ("value", "/value"),
    ("token_id", "/token_id"),
    ("usd", "/usd"),
    ("status", "/status"),
    ("watched", "/watched"),
    ("id", "/id"),
];

/// A page of transfers, or all of them as a file.
pub(super) async fn answer(
    state: &ApiState,
    caller: &Caller,
    (list, as_of): (ListId, AsOf),
    wanted: Wanted,
    format: Option<Format>,
) -> Result<Response, Problem> {
    let Some(format) = format else {
        return transfers(state, caller, list, as_of, wanted).await.map(Page::into_response);
    };
    let file = export::List { name: "transfers", columns: COLUMNS };
    let range = (wanted.cursor.clone(), wanted.limit);
    let (own_state, own_caller) = (state.clone(), caller.clone());
    export(state, caller, (file, format), range, move |cursor, limit| {
        let (state, caller, as_of) = (own_state.clone(), own_caller.clone(), as_of.clone());
        let wanted = Wanted { cursor, limit: Some(limit), ..wanted.clone() };
        async move { transfers(&state, &caller, list, as_of, wanted).await }
    })
    .await
}

/// What lists of transfers take, whatever their path says.
#[derive(Debug, Clone)]
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
    let window = Window::new(wanted.since, wanted.until)?;
    let turn = Turn::new(list, wanted.cursor.as_ref(), window, wanted.limit)?;
    let window = turn.window;
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
    let walk = state.store.walk_transfers(&filter, &turn.request, WalkBudget::default());
    let (walked, heads) = tokio::join!(walk, state.heads());
    let (Walked { page: found, go_on }, heads) = (walked?, heads?);
    let (next, prev) = turn.links(&found, |one: &StoredTransfer| one.key.clone());
    let warnings = go_on.iter().map(|key| unfinished(key.block_time_us)).collect();
    let mut events: Vec<Event> = found.rows.into_iter().filter_map(|one| one.event).collect();
    state.store.put_labels(&mut events).await?;
    Ok(Page {
        items: events.iter().map(|event| EventItem::new(event, &heads)).collect(),
        next: go_on.map(|key| turn.go_on(key)).or(next),
        prev,
        window: Some(window),
        as_of,
        warnings,
    })
}

/// What a page says that was ended before it was full.
fn unfinished(until_us: i64) -> String {
    let until = jiff::Timestamp::from_microsecond(until_us);
    let until = until.map_or_else(|_| until_us.to_string(), |until| until.to_string());
    format!(
        "few rows fit the filter: it was looked for them back to {until} only, go on with `next`"
    )
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
    /// How sure the block is.
    finality: Finality,
    /// Everything that is stored of it, in the order of the chain: transfers, and as far as the chain's scope has them the transaction
    /// itself, contracts that it created, swaps, liquidity, approvals, decoded events and other logs.
    events: Vec<EventItem>,
}

/// A transaction with everything that is stored of it. Without `block` it is found by its transfers alone.
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
    let number = events.first().and_then(Event::block_fields).map(|block| block.block_number);
    if let Some(number) = number.or(block) {
        events.extend(state.store.events_of(&chain.0, hash.0, number).await?);
        events.sort_by_key(place_in_block);
    }
    state.store.put_labels(&mut events).await?;
    let first = events.first().and_then(Event::block_fields).ok_or_else(missing)?;
    let head = heads.iter().find(|head| head.chain == first.chain);
    Ok(Json(TransactionAnswer {
        chain: chain.0.clone(),
        tx_hash: format!("{:#x}", hash.0),
        block_number: first.block_number,
        block_hash: format!("{:#x}", first.block_hash),
        block_time_us: first.block_time_us,
        finality: Finality::of(first.block_number, head),
        events: events.iter().map(|event| EventItem::new(event, &heads)).collect(),
    }))
}
