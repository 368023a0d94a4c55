//! Tokens: found by what they are called, what is known of one, and what moved of it.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use crypto_intel_schemas::{Address, AssetPrice};
use crypto_intel_service::now_us;
use crypto_intel_store::{TokenSeen, TokenVolume, VolumeStep};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::wallets::Label;
use crate::{
    auth::{Caller, scopes::Scope},
    guard::{AsOf, Guard, OF_CHAINS},
    limits::cost,
    page::{MAX_STEPS, Page, Window},
    parameters::{
        Asked, AtBoth, NoParameters, parameters, path_parameters,
        values::{AddressValue, ChainSlug, Flag, Limit, Moment, Name, Value as _, one_of},
    },
    problem::Problem,
    state::ApiState,
    tokens::{FoundToken, TokenFacts},
};

/// How far back it is looked for a transfer of a token.
const SEEN_WITHIN_US: i64 = 30 * 86_400_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = |cost| Guard::new(Scope::Chain, cost);
    OpenApiRouter::new()
        .routes(guard(cost::LIST).of(routes!(list)))
        .routes(guard(cost::LOOK_UP).of(routes!(token)))
        .routes(guard(cost::SUMMARY).by_position_of(OF_CHAINS).of(routes!(volume)))
}

one_of!(VolumeStep, ["hour" => VolumeStep::Hour, "day" => VolumeStep::Day]);

parameters! {
    /// Which tokens.
    pub(crate) struct TokenParameters {
        /// With this in symbol, name or asset, whatever the case; or an address.
        pub(crate) query: Option<Name>,
        /// Only of this chain; may be repeated. Without it, of the chains that are stored.
        pub(crate) chain: Vec<ChainSlug>,
        /// With true only those that the list verifies.
        pub(crate) verified: Option<Flag>,
        /// How many are answered.
        pub(crate) limit: Option<Limit>,
    }
}

/// A token. Symbol and name are what its contract says, unless it is verified: anybody may call a token USDC.
#[derive(Debug, Serialize, ToSchema)]
struct TokenItem {
    /// Its chain.
    chain: String,
    /// Its contract.
    address: String,
    /// Its symbol, where it is known.
    symbol: Option<String>,
    /// What its contract calls it; null of listed ones, which are not asked.
    name: Option<String>,
    /// Digits after the point of a whole token, where they are known.
    decimals: Option<u8>,
    /// Whether it is verified by the list of known tokens.
    verified: bool,
    /// The asset whose price counts for it, such as usd-coin.
    asset: Option<String>,
}

impl TokenItem {
    fn new(chain: String, address: &Address, facts: TokenFacts) -> Self {
        let TokenFacts { symbol, name, decimals, asset, verified } = facts;
        Self { chain, address: format!("{address:#x}"), symbol, name, decimals, verified, asset }
    }
}

impl From<FoundToken> for TokenItem {
    fn from(found: FoundToken) -> Self {
        Self::new(found.chain, &found.address, found.facts)
    }
}

/// What a transfer says, where nothing else is known.
fn facts_of(seen: &TokenSeen) -> TokenFacts {
    TokenFacts {
        symbol: seen.symbol.clone(),
        decimals: seen.decimals,
        verified: seen.verified,
        ..TokenFacts::default()
    }
}

/// Tokens by symbol, name or address, verified ones first, then those that fit best. There are no further pages: more letters find
/// fewer. Those of which only transfers are known are found by their address.
#[utoipa::path(
    get,
    path = "/api/v1/tokens",
    tag = "tokens",
    params(TokenParameters),
    responses((status = 200, body = Page<TokenItem>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<TokenParameters>,
) -> Result<Page<TokenItem>, Problem> {
    let wanted = asked.parameters;
    let most = Limit::or_default(wanted.limit) as usize;
    let only_verified = wanted.verified.is_some_and(|flag| flag.0);
    let chains: BTreeSet<String> = if wanted.chain.is_empty() {
        state.heads().await?.iter().map(|head| head.chain.clone()).collect()
    } else {
        wanted.chain.into_iter().map(|chain| chain.0).collect()
    };
    let looks_at = |chain: &str| chains.contains(chain) && caller.sees(chain);
    let query = wanted.query.as_ref().map(|query| query.0.as_str());
    let mut found = match query.and_then(|query| AddressValue::parse(query).ok()) {
        Some(address) => {
            let mut found = state.tokens.at(&address.0, looks_at);
            let seen = state.store.token_seen(address.0, now_us() - SEEN_WITHIN_US).await?;
            for one in seen.iter().filter(|one| looks_at(&one.chain)) {
                if found.iter().all(|known| known.chain != one.chain) {
                    let (chain, facts) = (one.chain.clone(), facts_of(one));
                    found.push(FoundToken { chain, address: address.0, facts });
                }
            }
            found.retain(|one| one.facts.verified || !only_verified);
            found.sort_by_key(|one| (!one.facts.verified, one.chain.clone()));
            found
        }
        None => state.tokens.search(query, only_verified, most, looks_at),
    };
    let mut warnings = Vec::new();
    if found.len() > most {
        found.truncate(most);
        warnings.push("there are more: name more of what is sought".to_owned());
    }
    let items = found.into_iter().map(TokenItem::from).collect();
    Ok(Page { warnings, ..Page::whole(items) })
}

path_parameters!(OfToken {
    chain: ChainSlug = "The chain.",
    token: AddressValue = "Contract of the token.",
});

/// What a token is worth.
#[derive(Debug, Serialize, ToSchema)]
struct TokenPrice {
    /// US dollars for one whole token, decimal text.
    usd: String,
    /// Time of the price, microseconds UTC.
    at_us: i64,
    /// How old it is, seconds; never negative.
    age_seconds: i64,
    /// Provider of the price.
    source: String,
}

impl TokenPrice {
    fn new(price: &AssetPrice, now: i64) -> Self {
        Self {
            usd: price.price.to_string(),
            at_us: price.at_us,
            age_seconds: (now - price.at_us).max(0) / 1_000_000,
            source: price.source.clone(),
        }
    }
}

/// What is known of a token.
#[derive(Debug, Serialize, ToSchema)]
struct Token {
    #[serde(flatten)]
    token: TokenItem,
    /// Who says what it is called: list, contract or transfers.
    said_by: &'static str,
    /// What its asset is worth now, where that is known.
    price: Option<TokenPrice>,
    /// What sources call the contract, the source first that is believed first.
    labels: Vec<Label>,
    /// Its standard by its newest transfer: erc20, erc721 or erc1155; null where none was stored of late.
    standard: Option<String>,
    /// When its newest transfer of the last 30 days was, microseconds UTC; null where none was stored.
    last_transfer_at_us: Option<i64>,
}

/// What is known of a token: what it is called and by whom, its price now, its labels.
#[utoipa::path(
    get,
    path = "/api/v1/tokens/{chain}/{token}",
    tag = "tokens",
    params(OfToken),
    responses((status = 200, body = Token), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
async fn token(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, address): AtBoth<ChainSlug, AddressValue>,
    _: Asked<NoParameters>,
) -> Result<Json<Token>, Problem> {
    let (chain, address) = (chain.0, address.0);
    let missing =
        || Problem::not_found(format!("nothing is known of {address:#x} as a token on {chain}"));
    if !caller.sees(&chain) {
        return Err(missing());
    }
    let now = now_us();
    let addresses = [address];
    let (seen, labels) = tokio::join!(
        state.store.token_seen(address, now - SEEN_WITHIN_US),
        state.store.labels_of(&addresses)
    );
    let (seen, labels) = (seen?, labels?);
    let seen = seen.into_iter().find(|one| one.chain == chain);
    let (facts, said_by) = match (state.tokens.get(&chain, &address), &seen) {
        (Some((facts, true)), _) => (facts, "list"),
        (Some((facts, false)), _) => (facts, "contract"),
        (None, Some(seen)) => (facts_of(seen), "transfers"),
        (None, None) => return Err(missing()),
    };
    let price = match &facts.asset {
        Some(asset) => state.price_of(asset).await?.map(|price| TokenPrice::new(&price, now)),
        None => None,
    };
    Ok(Json(Token {
        said_by,
        price,
        labels: labels.of(&chain, &address).map(Label::from).collect(),
        standard: seen.as_ref().map(|seen| seen.standard.clone()),
        last_transfer_at_us: seen.as_ref().map(|seen| seen.last_at_us),
        token: TokenItem::new(chain, &address, facts),
    }))
}

parameters! {
    /// Which volume.
    pub(crate) struct VolumeParameters {
        /// Width of a step: hour or day (UTC); hour without a word.
        pub(crate) step: Option<VolumeStep>,
        /// From then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
    }
}

/// What moved of a token within a step.
#[derive(Debug, Serialize, ToSchema)]
struct VolumeItem {
    /// Begin of the step, microseconds UTC.
    bucket_us: i64,
    /// How many transfers.
    transfers: u64,
    /// Their sum in the smallest unit, decimal text; of NFTs how many moved.
    value: String,
    /// Their sum in whole tokens, decimal text, of those whose decimals were known.
    amount: Option<String>,
    /// Their sum in US dollars, decimal text, of those with a known price.
    usd: Option<String>,
}

impl From<TokenVolume> for VolumeItem {
    fn from(volume: TokenVolume) -> Self {
        let TokenVolume { bucket_us, transfers, value, amount, usd } = volume;
        Self { bucket_us, transfers, value, amount, usd }
    }
}

/// What moved of a token, by hour or day, oldest first; steps without a transfer are left out. At most 5,000, the newest of the time
/// that is asked for.
#[utoipa::path(
    get,
    path = "/api/v1/tokens/{chain}/{token}/volume",
    tag = "tokens",
    params(OfToken, VolumeParameters),
    responses((status = 200, body = Page<VolumeItem>))
)]
async fn volume(
    State(state): State<ApiState>,
    caller: Caller,
    AtBoth(chain, address): AtBoth<ChainSlug, AddressValue>,
    AsOf(as_of): AsOf,
    asked: Asked<VolumeParameters>,
) -> Result<Page<VolumeItem>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    if !caller.sees(&chain.0) {
        return Ok(Page { window: Some(window), as_of, ..Page::whole(Vec::new()) });
    }
    let step = wanted.step.unwrap_or(VolumeStep::Hour);
    let between_us = window.in_steps(step.us());
    let found =
        state.store.token_volume(step, (&chain.0, address.0), between_us, MAX_STEPS).await?;
    Ok(Page::of_steps(found.into_iter().map(VolumeItem::from).collect(), window, as_of))
}
