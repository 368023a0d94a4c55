//! The watch-list and its addresses.

mod approvals;
mod changes;
mod summaries;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use crypto_intel_schemas::{Address, WatchKind};
use crypto_intel_store::{LabelLine, Side, TransferKind, WalletFilter, WalletKey, WalletRow};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::transactions::{Wanted, answer};
use crate::{
    auth::{Caller, scopes::Scope},
    cursor::ListId,
    export::{self, Accepted, Column, Format, export},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{EventItem, Page, Turn, Window},
    parameters::{
        Asked, At, NoParameters, parameters, path_parameters,
        values::{AddressValue, ChainSlug, CursorText, Dollars, Flag, Limit, Moment, Name, one_of},
    },
    problem::Problem,
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let of_rows = Guard::new(Scope::Chain, cost::LIST).by_position_of(OF_CHAINS);
    OpenApiRouter::new()
        .routes(Guard::new(Scope::Chain, cost::LIST).of(routes!(list)))
        .routes(Guard::new(Scope::Chain, cost::LOOK_UP).of(routes!(wallet)))
        .routes(of_rows.of(routes!(transfers_of)))
        .merge(approvals::routes())
        .merge(summaries::routes())
        .merge(changes::routes())
}

one_of!(WatchKind, [
    "wallet" => WatchKind::Wallet,
    "token" => WatchKind::Token,
    "pool" => WatchKind::Pool,
    "contract" => WatchKind::Contract,
]);

path_parameters!(OfWallet { address: AddressValue = "The address." });

/// A watched address.
#[derive(Debug, Serialize, ToSchema)]
struct WalletItem {
    /// Chain on which it is watched, or `all`.
    chain: String,
    /// The address.
    address: String,
    /// What people call it.
    label: Option<String>,
    /// What it has in common with others.
    tags: Vec<String>,
    /// wallet, token, pool or contract.
    kind: String,
    /// The group that it belongs to.
    group: Option<String>,
    /// Whose it is.
    owner: Option<String>,
    /// Remarks.
    notes: Option<String>,
    /// When it was put on the watch-list, microseconds UTC.
    added_at_us: i64,
    /// When it left the watch-list, microseconds UTC; null while it is watched.
    removed_at_us: Option<i64>,
}

impl From<WalletRow> for WalletItem {
    fn from(row: WalletRow) -> Self {
        Self {
            chain: row.chain,
            address: text(&row.address),
            label: row.label,
            tags: row.tags,
            kind: row.kind,
            group: row.group,
            owner: row.owner,
            notes: row.notes,
            added_at_us: row.added_at_us,
            removed_at_us: row.removed_at_us,
        }
    }
}

fn text(address: &Address) -> String {
    format!("{address:#x}")
}

parameters! {
    /// Which watched addresses.
    pub(crate) struct WalletParameters {
        /// Watched on this chain or on all; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// With this in its label, whatever the case.
        pub(crate) label: Option<Name>,
        /// With this tag.
        pub(crate) tag: Option<Name>,
        /// Of this group.
        pub(crate) group: Option<Name>,
        /// Of this kind.
        pub(crate) kind: Option<WatchKind>,
        /// With true those that have left the watch-list instead.
        pub(crate) removed: Option<Flag>,
        /// How many a page has.
        pub(crate) limit: Option<Limit>,
        /// `next` or `prev` of a page before.
        pub(crate) cursor: Option<CursorText>,
        /// As a file instead of pages; the header `Accept` says it, too.
        pub(crate) format: Option<Format>,
    }
}

/// What a file of the watch-list has.
const COLUMNS: &[Column] = &[
    ("chain", "/chain"),
    ("address", "/address"),
    ("label", "/label"),
    ("tags", "/tags"),
    ("kind", "/kind"),
    ("group", "/group"),
    ("owner", "/owner"),
    ("notes", "/notes"),
    ("added_at_us", "/added_at_us"),
    ("removed_at_us", "/removed_at_us"),
];

/// The watch-list as it is stored, in the order of addresses.
#[utoipa::path(
    get,
    path = "/api/v1/wallets",
    tag = "wallets",
    params(WalletParameters),
    responses((status = 200, content(
        (Page<WalletItem> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    accepted: Accepted,
    asked: Asked<WalletParameters>,
) -> Result<Response, Problem> {
    let list = ListId::new("/wallets", &asked.filters);
    let wanted = asked.parameters;
    let Some(format) = export::wanted(wanted.format, accepted) else {
        return page(&state, &caller, list, wanted).await.map(Page::into_response);
    };
    let file = export::List { name: "wallets", columns: COLUMNS };
    let range = (wanted.cursor.clone(), wanted.limit);
    let (own_state, own_caller) = (state.clone(), caller.clone());
    export(&state, &caller, (file, format), range, move |cursor, limit| {
        let (state, caller) = (own_state.clone(), own_caller.clone());
        let wanted = WalletParameters { cursor, limit: Some(limit), ..wanted.clone() };
        async move { page(&state, &caller, list, wanted).await }
    })
    .await
}

/// A page of the watch-list.
async fn page(
    state: &ApiState,
    caller: &Caller,
    list: ListId,
    wanted: WalletParameters,
) -> Result<Page<WalletItem>, Problem> {
    let turn = Turn::new(list, wanted.cursor.as_ref(), Window::NONE, wanted.limit)?;
    let chains: Vec<String> = wanted.chain.into_iter().map(|chain| chain.0).collect();
    let filter = WalletFilter {
        chains: caller.chains_of(&chains),
        label: wanted.label.map(|label| label.0),
        tag: wanted.tag.map(|tag| tag.0),
        group: wanted.group.map(|group| group.0),
        kind: wanted.kind.map(|kind| kind.as_str().to_owned()),
        removed: wanted.removed.is_some_and(|flag| flag.0),
    };
    let found = state.store.wallets(&filter, &turn.request).await?;
    let key = |row: &WalletRow| WalletKey { address: row.address, chain: row.chain.clone() };
    let (next, prev) = turn.links(&found, key);
    let items = found.rows.into_iter().map(WalletItem::from).collect();
    Ok(Page { next, prev, ..Page::whole(items) })
}

/// An address: what people and sources say of it.
#[derive(Debug, Serialize, ToSchema)]
struct Wallet {
    /// The address.
    address: String,
    /// Whether it is watched now, on some chain.
    watched: bool,
    /// Its entries in the watch-list, those that left too.
    entries: Vec<WalletItem>,
    /// What sources say of it, the one first that is believed first.
    labels: Vec<Label>,
}

/// What a source says of an address.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Label {
    /// Chain on which it holds, or `all`.
    chain: String,
    /// What the address is, such as `exchange`.
    category: String,
    /// What it is called.
    name: Option<String>,
    /// Who says so.
    source: String,
    /// How sure, percent.
    confidence: u8,
    /// Remarks of the source.
    detail: Option<String>,
}

impl From<&LabelLine> for Label {
    fn from(line: &LabelLine) -> Self {
        Self {
            chain: line.chain.clone(),
            category: line.category.clone(),
            name: line.name.clone(),
            source: line.source.clone(),
            confidence: line.confidence,
            detail: line.detail.clone(),
        }
    }
}

/// What is known of an address; one without a name is known, too.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{address}",
    tag = "wallets",
    params(OfWallet),
    responses((status = 200, body = Wallet))
)]
async fn wallet(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    _: Asked<NoParameters>,
) -> Result<Json<Wallet>, Problem> {
    let addresses = [address.0];
    let (rows, labels) =
        tokio::join!(state.store.wallet(address.0), state.store.labels_of(&addresses));
    let (rows, labels) = (rows?, labels?);
    let sees = |chain: &str| chain == "all" || caller.sees(chain);
    let entries: Vec<WalletItem> =
        rows.into_iter().filter(|row| sees(&row.chain)).map(WalletItem::from).collect();
    let labels = labels.all(&address.0).iter().filter(|line| sees(&line.chain));
    Ok(Json(Wallet {
        address: text(&address.0),
        watched: entries.iter().any(|entry| entry.removed_at_us.is_none()),
        entries,
        labels: labels.map(Label::from).collect(),
    }))
}

parameters! {
    /// Which transfers of an address.
    pub(crate) struct TransfersOfParameters {
        /// Only of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// Only of this kind; may be repeated.
        pub(crate) kind: Vec<TransferKind>,
        /// On which side it is; either without a word.
        pub(crate) direction: Option<Side>,
        /// Only of this token.
        pub(crate) token: Option<AddressValue>,
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

/// Transfers of an address, watched or not, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{address}/transfers",
    tag = "wallets",
    params(OfWallet, TransfersOfParameters),
    responses((status = 200, content(
        (Page<EventItem> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn transfers_of(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    as_of: AsOf,
    accepted: Accepted,
    asked: Asked<TransfersOfParameters>,
) -> Result<Response, Problem> {
    let list = ListId::new(&format!("/wallets/{}/transfers", text(&address.0)), &asked.filters);
    let wanted = asked.parameters;
    let format = export::wanted(wanted.format, accepted);
    let asked = Wanted {
        chains: wanted.chain,
        kinds: wanted.kind,
        address: Some((address.0, wanted.direction.unwrap_or(Side::Either))),
        token: wanted.token,
        watched: false,
        verified: wanted.verified.is_some_and(|flag| flag.0),
        min_usd: wanted.min_usd,
        since: wanted.since,
        until: wanted.until,
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    answer(&state, &caller, (list, as_of), asked, format).await
}
