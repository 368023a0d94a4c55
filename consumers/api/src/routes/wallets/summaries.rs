//! What the transfers and readings of an address come to.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use crypto_intel_store::{CounterpartyLine, FlowLine, HeldAsset};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{OfWallet, text};
use crate::{
    auth::{Caller, scopes::Scope},
    export::{self, Accepted, Column, Format, export},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{Page, Window},
    parameters::{
        Asked, At, parameters,
        values::{AddressValue, ChainSlug, Moment},
    },
    problem::{Problem, ProblemKind},
    state::ApiState,
};

/// Counterparties of one answer.
const MAX_COUNTERPARTIES: u32 = 200;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let of_rows = |cost| Guard::new(Scope::Chain, cost).by_position_of(OF_CHAINS);
    OpenApiRouter::new()
        .routes(of_rows(cost::SUMMARY).of(routes!(flow)))
        .routes(of_rows(cost::SUMMARY).of(routes!(counterparties)))
        .routes(of_rows(cost::LIST).of(routes!(balances)))
}

parameters! {
    /// A time.
    pub(crate) struct WindowParameters {
        /// From then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
    }
}

/// What an address received and sent of one asset. Amounts are decimal text.
#[derive(Debug, Serialize, ToSchema)]
struct Flow {
    /// The chain.
    chain: String,
    /// Contract of the token; null for the chain's own currency.
    token: Option<String>,
    /// Its symbol, where it is known.
    symbol: Option<String>,
    /// Transfers that it received.
    transfers_in: u64,
    /// Transfers that it sent.
    transfers_out: u64,
    /// Received, in the smallest unit; of NFTs how many.
    value_in: String,
    /// Sent, in the smallest unit; of NFTs how many.
    value_out: String,
    /// Received in whole units, of transfers whose decimals are known.
    amount_in: String,
    /// Sent in whole units, of transfers whose decimals are known.
    amount_out: String,
    /// Received in US dollars, of transfers with a known price.
    usd_in: String,
    /// Sent in US dollars, of transfers with a known price.
    usd_out: String,
    /// Its first transfer in that time, microseconds UTC.
    first_at_us: i64,
    /// Its last transfer in that time, microseconds UTC.
    last_at_us: i64,
}

impl From<FlowLine> for Flow {
    fn from(line: FlowLine) -> Self {
        Self {
            chain: line.chain,
            token: line.token.as_ref().map(text),
            symbol: line.symbol,
            transfers_in: line.transfers.0,
            transfers_out: line.transfers.1,
            value_in: line.value.0,
            value_out: line.value.1,
            amount_in: line.amount.0,
            amount_out: line.amount.1,
            usd_in: line.usd.0,
            usd_out: line.usd.1,
            first_at_us: line.between_us.0,
            last_at_us: line.between_us.1,
        }
    }
}

/// What an address received and sent in a time, by chain and asset, the largest first. It is a flow, not a balance.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{address}/flow",
    tag = "wallets",
    params(OfWallet, WindowParameters),
    responses((status = 200, body = Page<Flow>))
)]
async fn flow(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    AsOf(as_of): AsOf,
    asked: Asked<WindowParameters>,
) -> Result<Page<Flow>, Problem> {
    let window = Window::new(asked.parameters.since, asked.parameters.until)?;
    let lines = state.store.wallet_flow(address.0, window.since_us, window.until_us).await?;
    let seen = lines.into_iter().filter(|line| caller.sees(&line.chain)).map(Flow::from);
    Ok(Page { window: Some(window), as_of, ..Page::whole(seen.collect()) })
}

/// With whom an address dealt. Amounts are decimal text.
#[derive(Debug, Serialize, ToSchema)]
struct Counterparty {
    /// The other address; null where a contract was created.
    address: Option<String>,
    /// What it is called by the watch-list, else by labels.
    label: Option<String>,
    /// Transfers received from it.
    transfers_in: u64,
    /// Transfers sent to it.
    transfers_out: u64,
    /// Received from it in US dollars, of transfers with a known price.
    usd_in: String,
    /// Sent to it in US dollars, of transfers with a known price.
    usd_out: String,
    /// How many different assets.
    tokens: u64,
    /// On which chains.
    chains: Vec<String>,
    /// The first transfer in that time, microseconds UTC.
    first_at_us: i64,
    /// The last transfer in that time, microseconds UTC.
    last_at_us: i64,
}

impl From<CounterpartyLine> for Counterparty {
    fn from(line: CounterpartyLine) -> Self {
        Self {
            address: line.address.as_ref().map(text),
            label: line.label,
            transfers_in: line.transfers.0,
            transfers_out: line.transfers.1,
            usd_in: line.usd.0,
            usd_out: line.usd.1,
            tokens: line.tokens,
            chains: line.chains,
            first_at_us: line.between_us.0,
            last_at_us: line.between_us.1,
        }
    }
}

/// With whom an address dealt in a time, those first with whom most often; at most 200.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{address}/counterparties",
    tag = "wallets",
    params(OfWallet, WindowParameters),
    responses((status = 200, body = Page<Counterparty>))
)]
async fn counterparties(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    AsOf(as_of): AsOf,
    asked: Asked<WindowParameters>,
) -> Result<Page<Counterparty>, Problem> {
    if caller.chains.is_some() {
        let detail = "counterparties are added up over all chains, of which the key sees some: ask for transfers";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let window = Window::new(asked.parameters.since, asked.parameters.until)?;
    let lines = state
        .store
        .counterparties(address.0, window.since_us, window.until_us, MAX_COUNTERPARTIES)
        .await?;
    let items = lines.into_iter().map(Counterparty::from).collect();
    Ok(Page { window: Some(window), as_of, ..Page::whole(items) })
}

parameters! {
    /// Which balances.
    pub(crate) struct BalanceParameters {
        /// Only of this chain.
        pub(crate) chain: Option<ChainSlug>,
        /// As a file instead of pages; the header `Accept` says it, too.
        pub(crate) format: Option<Format>,
    }
}

/// What an address holds of one asset, as the chain said at a block.
#[derive(Debug, Serialize, ToSchema)]
struct Balance {
    /// The chain.
    chain: String,
    /// `native`, or the contract of the token.
    asset: String,
    /// Symbol of the asset, where it is known.
    symbol: Option<String>,
    /// Whether the asset is the chain's own currency or on the list of known tokens.
    verified: bool,
    /// In whole units, decimal text; null without decimals.
    amount: Option<String>,
    /// In the smallest unit, decimal text; null where the token gave none.
    raw: Option<String>,
    /// In US dollars when it was read, decimal text, where a price was known.
    usd: Option<String>,
    /// Why there is no balance: reverted or not_a_number.
    problem: Option<String>,
    /// Height of the block at whose end it was so.
    block_number: u64,
    /// That block's own time, microseconds UTC.
    block_time_us: i64,
}

impl From<HeldAsset> for Balance {
    fn from(held: HeldAsset) -> Self {
        Self {
            chain: held.chain,
            asset: held.asset,
            symbol: held.symbol,
            verified: held.verified,
            amount: held.amount,
            raw: held.raw,
            usd: held.usd,
            problem: held.problem,
            block_number: held.block_number.unsigned_abs(),
            block_time_us: held.block_time_us,
        }
    }
}

/// What a file of balances has.
const COLUMNS: &[Column] = &[
    ("chain", "/chain"),
    ("asset", "/asset"),
    ("symbol", "/symbol"),
    ("verified", "/verified"),
    ("amount", "/amount"),
    ("raw", "/raw"),
    ("usd", "/usd"),
    ("problem", "/problem"),
    ("block_number", "/block_number"),
    ("block_time_us", "/block_time_us"),
];

/// What an address holds: the newest balance that was read of each asset, without empty ones.
#[utoipa::path(
    get,
    path = "/api/v1/wallets/{address}/balances",
    tag = "wallets",
    params(OfWallet, BalanceParameters),
    responses((status = 200, content(
        (Page<Balance> = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
async fn balances(
    State(state): State<ApiState>,
    caller: Caller,
    At(address): At<AddressValue>,
    as_of: AsOf,
    accepted: Accepted,
    asked: Asked<BalanceParameters>,
) -> Result<Response, Problem> {
    let BalanceParameters { chain, format } = asked.parameters;
    let Some(format) = export::wanted(format, accepted) else {
        let page = held(&state, &caller, address, chain, as_of).await;
        return page.map(Page::into_response);
    };
    let file = export::List { name: "balances", columns: COLUMNS };
    let (own_state, own_caller) = (state.clone(), caller.clone());
    // There is one page.
    export(&state, &caller, (file, format), (None, None), move |_, _| {
        let (state, caller) = (own_state.clone(), own_caller.clone());
        let (chain, as_of) = (chain.clone(), as_of.clone());
        async move { held(&state, &caller, address, chain, as_of).await }
    })
    .await
}

async fn held(
    state: &ApiState,
    caller: &Caller,
    address: AddressValue,
    chain: Option<ChainSlug>,
    AsOf(as_of): AsOf,
) -> Result<Page<Balance>, Problem> {
    let chain = chain.as_ref().map(|chain| chain.0.as_str());
    let held = state.store.held_assets(Some(address.0), chain).await?;
    let seen = held.into_iter().filter(|held| caller.sees(&held.chain)).map(Balance::from);
    Ok(Page { as_of, ..Page::whole(seen.collect()) })
}
