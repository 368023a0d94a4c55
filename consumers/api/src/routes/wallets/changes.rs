//! The watch-list, changed as `crypto-intel watch` changes it. Tables follow within a moment.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use crypto_intel_evm::{Gap, GapReason, Watchlist};
use crypto_intel_schemas::{AccountAddress, WatchChain, WatchEntry};
use crypto_intel_store::ChainHead;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{OfWallet, WatchKind};
use crate::{
    auth::{Caller, scopes::Scope},
    change::Changed,
    guard::Guard,
    limits::cost,
    parameters::{
        Asked, At, NoParameters,
        body::Body,
        parameters,
        values::{AddressValue, ChainSlug, Value as _},
    },
    problem::{Problem, ProblemKind},
    routes::gaps::{self, QueuedRange},
    state::ApiState,
};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = Guard::new(Scope::WatchlistWrite, cost::LIST);
    OpenApiRouter::new()
        .routes(guard.doing("watch.add").of(routes!(add)))
        .routes(guard.doing("watch.change").of(routes!(change)))
        .routes(guard.doing("watch.remove").of(routes!(remove)))
}

/// An address to be watched.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWallet {
    /// The address.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    address: String,
    /// Chain on which it is watched; `all` without a word.
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    chain: Option<String>,
    /// What events call it; 1 to 64 printable characters.
    label: Option<String>,
    /// What it has in common with others; at most 8.
    #[serde(default)]
    tags: Vec<String>,
    /// wallet, token, pool or contract; wallet without a word.
    kind: Option<String>,
    /// The group that it belongs to.
    group: Option<String>,
    /// Whose it is.
    owner: Option<String>,
    /// Remarks; at most 500 characters.
    notes: Option<String>,
    /// First block of its past that is wanted, too; takes the scope `ops:write`. Without a word it counts from the next block on.
    backfill: Option<u64>,
    /// With `backfill`: every block is looked into. That finds payments that leave no logs, and takes as long as a backfill of
    /// everything.
    #[serde(default)]
    every_block: bool,
}

/// What is changed of a watched address; what is absent stays, null takes away.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct WalletChange {
    /// What events call it.
    #[serde(deserialize_with = "given")]
    label: Option<Option<String>>,
    /// What it has in common with others; all of them.
    tags: Option<Vec<String>>,
    /// wallet, token, pool or contract.
    kind: Option<String>,
    /// The group that it belongs to.
    #[serde(deserialize_with = "given")]
    group: Option<Option<String>>,
    /// Whose it is.
    #[serde(deserialize_with = "given")]
    owner: Option<Option<String>>,
    /// Remarks.
    #[serde(deserialize_with = "given")]
    notes: Option<Option<String>>,
}

/// Null is something else than nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// What became of an entry.
#[derive(Debug, Serialize, ToSchema)]
struct WatchAnswer {
    /// Chain on which it is watched, or `all`.
    chain: String,
    /// The address.
    address: String,
    /// Whether it was not watched there before.
    new: bool,
    /// What was queued of its past.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    past: Vec<QueuedRange>,
    /// Chains whose past could not be queued: ask again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_queued: Vec<String>,
}

/// What the audit keeps of an entry.
#[derive(Debug, Serialize)]
struct AddedEntry<'a> {
    #[serde(flatten)]
    entry: &'a WatchEntry,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    past: &'a [QueuedRange],
}

/// A key of some chains decides for these only.
fn chain_of(caller: &Caller, chain: Option<&str>) -> Result<WatchChain, Problem> {
    let chain: WatchChain = chain
        .unwrap_or("all")
        .parse()
        .map_err(|reason: String| Problem::unprocessable(format!("chain: {reason}")))?;
    let may = match &chain {
        WatchChain::All => caller.chains.is_none(),
        WatchChain::One(slug) => caller.sees(slug),
    };
    if may {
        return Ok(chain);
    }
    let detail = format!("the key is not for {}", chain.name());
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

fn kind_of(kind: Option<&str>) -> Result<WatchKind, Problem> {
    let kind = kind.map_or(Ok(WatchKind::default()), str::parse);
    kind.map_err(|reason: String| Problem::unprocessable(format!("kind: {reason}")))
}

/// The stored chains whose past is wanted: all of them are looked at before anything is changed.
fn heads_of(
    caller: &Caller,
    heads: &[ChainHead],
    chain: &WatchChain,
    first: u64,
) -> Result<Vec<ChainHead>, Problem> {
    if !caller.may(Scope::OperationsWrite) {
        let detail = "backfill: this needs the scope ops:write";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let is_meant = |head: &&ChainHead| match chain {
        WatchChain::All => true,
        WatchChain::One(slug) => head.chain == *slug,
    };
    let meant: Vec<ChainHead> = heads.iter().filter(is_meant).cloned().collect();
    if meant.is_empty() {
        let detail = format!("backfill: nothing of {} is stored", chain.name());
        return Err(Problem::unprocessable(detail));
    }
    match meant.iter().find(|head| head.finalized_number < first) {
        None => Ok(meant),
        Some(head) => Err(Problem::unprocessable(format!(
            "backfill: block {first} of {} is not final yet, block {} is: live publishes it",
            head.chain, head.finalized_number
        ))),
    }
}

type Added = (StatusCode, [(HeaderName, String); 1], Extension<Changed>, Json<WatchAnswer>);

/// Watches an address, or changes what it is called; it counts from the next block on. `backfill` queues its past, too, as
/// `crypto-intel watch add --backfill` does.
#[utoipa::path(
    post,
    path = "/api/v1/wallets",
    tag = "wallets",
    request_body = NewWallet,
    responses((status = 202, body = WatchAnswer))
)]
async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    _: Asked<NoParameters>,
    Body(new): Body<NewWallet>,
) -> Result<Added, Problem> {
    let address = AddressValue::parse(&new.address)
        .map_err(|reason| Problem::unprocessable(format!("address: {reason}")))?;
    let address = AccountAddress::from(address.0);
    let chain = chain_of(&caller, new.chain.as_deref())?;
    let entry = WatchEntry {
        label: new.label,
        tags: new.tags,
        kind: kind_of(new.kind.as_deref())?,
        group: new.group,
        owner: new.owner,
        notes: new.notes,
        added_at_us: 0,
    };
    entry.validate().map_err(Problem::unprocessable)?;
    let past = match new.backfill {
        None => Vec::new(),
        Some(first) => heads_of(&caller, &state.heads().await?, &chain, first)?,
    };
    let list = Watchlist::open(&state.nats).await?;
    let before = list.get(&chain, &address).await?;
    let is_new = list.add(&chain, &address, entry.clone()).await?;
    let place = [(header::LOCATION, format!("/api/v1/wallets/{address}"))];
    let mut answer = answer(&chain, &address, is_new);
    for head in past {
        let wanted = Gap {
            address: Some(address.to_string()),
            every_block: new.every_block,
            ..Gap::new(new.backfill.unwrap_or(0), u64::MAX, GapReason::Watch)
        };
        // It is watched by now, which has to be told whatever becomes of this.
        match gaps::queue(&state, &head, wanted).await {
            Ok(range) => answer.past.push(range),
            Err(_) => answer.not_queued.push(head.chain),
        }
    }
    let after = AddedEntry { entry: &entry, past: &answer.past };
    let changed = changed(&chain, &address).from(before.as_ref()).to(&after);
    Ok((StatusCode::ACCEPTED, place, Extension(changed), Json(answer)))
}

fn changed(chain: &WatchChain, address: &AccountAddress) -> Changed {
    Changed::of(format!("{}/{address}", chain.name()))
}

fn not_watched(chain: &WatchChain, address: &AccountAddress) -> Problem {
    Problem::not_found(format!("{address} is not watched on {}", chain.name()))
}

fn answer(chain: &WatchChain, address: &AccountAddress, new: bool) -> WatchAnswer {
    let (chain, address) = (chain.name().to_owned(), address.to_string());
    WatchAnswer { chain, address, new, past: Vec::new(), not_queued: Vec::new() }
}

parameters! {
    /// Where an address is watched.
    pub(crate) struct EntryParameters {
        /// Chain on which it is watched; the entry of all chains without a word.
        pub(crate) chain: Option<ChainSlug>,
    }
}

/// Changes what a watched address is called and belongs to.
#[utoipa::path(
    patch,
    path = "/api/v1/wallets/{address}",
    tag = "wallets",
    params(OfWallet, EntryParameters),
    request_body = WalletChange,
    responses((status = 202, body = WatchAnswer), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    asked: Asked<EntryParameters>,
    Body(change): Body<WalletChange>,
) -> Result<(StatusCode, Extension<Changed>, Json<WatchAnswer>), Problem> {
    let chain = chain_of(&caller, asked.parameters.chain.as_ref().map(|chain| chain.0.as_str()))?;
    let address = AccountAddress::from(address.0);
    let list = Watchlist::open(&state.nats).await?;
    // As the bucket has it: tables may be behind.
    let found = list.get(&chain, &address).await?;
    let mut entry = found.ok_or_else(|| not_watched(&chain, &address))?;
    let changed = changed(&chain, &address).from(Some(&entry));
    entry.label = change.label.unwrap_or(entry.label);
    entry.tags = change.tags.unwrap_or(entry.tags);
    entry.group = change.group.unwrap_or(entry.group);
    entry.owner = change.owner.unwrap_or(entry.owner);
    entry.notes = change.notes.unwrap_or(entry.notes);
    if let Some(kind) = &change.kind {
        entry.kind = kind_of(Some(kind))?;
    }
    entry.validate().map_err(Problem::unprocessable)?;
    let changed = Extension(changed.to(&entry));
    let is_new = list.add(&chain, &address, entry).await?;
    Ok((StatusCode::ACCEPTED, changed, Json(answer(&chain, &address, is_new))))
}

/// Watches an address no longer; what was stored of it stays.
#[utoipa::path(
    delete,
    path = "/api/v1/wallets/{address}",
    tag = "wallets",
    params(OfWallet, EntryParameters),
    responses((status = 204), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    asked: Asked<EntryParameters>,
) -> Result<(StatusCode, Extension<Changed>), Problem> {
    let chain = chain_of(&caller, asked.parameters.chain.as_ref().map(|chain| chain.0.as_str()))?;
    let address = AccountAddress::from(address.0);
    let list = Watchlist::open(&state.nats).await?;
    let before = list.get(&chain, &address).await?;
    if !list.remove(&chain, &address).await? {
        return Err(not_watched(&chain, &address));
    }
    let changed = changed(&chain, &address).from(before.as_ref());
    Ok((StatusCode::NO_CONTENT, Extension(changed)))
}
