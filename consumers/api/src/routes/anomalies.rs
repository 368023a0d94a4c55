//! What departs from the usual: volumes of tokens, market volumes and prices, each against its own hours before.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use axum::extract::State;
use crypto_intel_service::now_us;
use crypto_intel_store::{AssetHour, TokenHour, TokenOfChain};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Caller, scopes::Scope},
    departure::{Departure, Hours, Manner, decimal_text, departure},
    guard::Guard,
    limits::cost,
    page::Page,
    parameters::{
        Asked, parameters,
        values::{Between, ChainSlug, Flag, Limit, one_of},
    },
    problem::Problem,
    state::ApiState,
};

const HOUR_US: i64 = 3_600_000_000;
/// Tokens that are looked at where not only verified ones are.
const MAX_BUSIEST: u32 = 200;
/// A price older than that departs from nothing: its source is in trouble.
const MAX_AGE_US: i64 = 2 * HOUR_US;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(Guard::new(Scope::Chain, cost::GRAPH).of(routes!(list)))
}

/// What is compared with its usual hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// What moved of a token in the last whole hour.
    TokenVolume,
    /// What was traded of an asset in 24 hours, as a provider says.
    MarketVolume,
    /// The price of an asset by a provider.
    Price,
}

one_of!(What, [
    "token_volume" => What::TokenVolume,
    "market_volume" => What::MarketVolume,
    "price" => What::Price,
]);

impl What {
    const fn manner(self) -> Manner {
        match self {
            Self::TokenVolume => Manner { least_variation: 0.05, may_be_none: true },
            Self::MarketVolume => Manner { least_variation: 0.05, may_be_none: false },
            Self::Price => Manner { least_variation: 0.001, may_be_none: false },
        }
    }
}

type Sensitivity = Between<2, 50, 5>;
type BaselineHours = Between<12, 168, 24>;

parameters! {
    /// Which departures.
    pub(crate) struct AnomalyParameters {
        /// Only of this: token_volume, market_volume or price; may be repeated.
        pub(crate) what: Vec<What>,
        /// Only tokens of this chain; may be repeated.
        pub(crate) chain: Vec<ChainSlug>,
        /// With how many hours the newest one is compared.
        pub(crate) hours: Option<BaselineHours>,
        /// From how many deviations on it is told.
        pub(crate) sensitivity: Option<Sensitivity>,
        /// With false also tokens that the list does not verify: the 200 with the most transfers of the hour instead of those of the
        /// list.
        pub(crate) verified: Option<Flag>,
        /// How many are answered.
        pub(crate) limit: Option<Limit>,
    }
}

/// Something that departs from its usual hours. Numbers are decimal text, rounded.
#[derive(Debug, Serialize, ToSchema)]
struct Anomaly {
    /// What departs.
    what: What,
    /// Chain of the token.
    chain: Option<String>,
    /// Contract of the token.
    token: Option<String>,
    /// Symbol of the token, where it is known.
    symbol: Option<String>,
    /// Whether the token is verified by the list of known ones; true of assets.
    verified: bool,
    /// The asset.
    asset: Option<String>,
    /// What the asset is priced in.
    quote: Option<String>,
    /// The provider that says so of the asset.
    source: Option<String>,
    /// The number of the newest hour: whole tokens (the smallest unit where decimals are unknown), or units of `quote`.
    value: String,
    /// The median of the hours before.
    expected: String,
    /// Down to this it would be usual.
    low: String,
    /// Up to this it would be usual.
    high: String,
    /// How many deviations it is off, by median and median absolute deviation; below 0 where it is less than usual.
    z: f64,
    /// Begin of the newest hour, microseconds UTC.
    hour_us: i64,
    /// Since when every hour was off to the same side, microseconds UTC.
    since_us: i64,
}

/// The hours of one thing.
#[derive(Debug)]
pub(crate) struct Series {
    of: Subject,
    hours: Hours,
}

#[derive(Debug)]
enum Subject {
    Token(TokenOfChain, Option<String>),
    Asset { what: What, asset: String, quote: String, source: String },
}

impl Subject {
    const fn what(&self) -> What {
        match self {
            Self::Token(..) => What::TokenVolume,
            Self::Asset { what, .. } => *what,
        }
    }
}

/// What departs from its usual hours, that which is furthest off first: volumes of tokens in the last whole hour, market volumes and
/// prices of providers now, each against the median of its hours before. What has fewer than 12 hours, or moves in fewer than half of
/// them, is left out. The sums are kept for a minute.
#[utoipa::path(
    get,
    path = "/api/v1/analysis/anomalies",
    tag = "analysis",
    params(AnomalyParameters),
    responses((status = 200, body = Page<Anomaly>))
)]
async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    asked: Asked<AnomalyParameters>,
) -> Result<Page<Anomaly>, Problem> {
    let wanted = asked.parameters;
    let hours = BaselineHours::or_default(wanted.hours);
    let sensitivity = f64::from(Sensitivity::or_default(wanted.sensitivity));
    let only_verified = wanted.verified.is_none_or(|flag| flag.0);
    let most = Limit::or_default(wanted.limit) as usize;
    let chains: Vec<&str> = wanted.chain.iter().map(|chain| chain.0.as_str()).collect();
    let is_asked = |of: &Subject| {
        let of_chain = match of {
            Subject::Token((chain, _), _) => {
                caller.sees(chain) && (chains.is_empty() || chains.contains(&chain.as_str()))
            }
            Subject::Asset { .. } => true,
        };
        of_chain && (wanted.what.is_empty() || wanted.what.contains(&of.what()))
    };
    let series = state.hours(hours, only_verified).await?;
    let mut found: Vec<Anomaly> = series
        .iter()
        .filter(|one| is_asked(&one.of))
        .filter_map(|one| {
            let off = departure(&one.hours, sensitivity, one.of.what().manner())?;
            Some(anomaly(&state, &one.of, off))
        })
        .collect();
    found.sort_by(|one, two| two.z.abs().total_cmp(&one.z.abs()));
    let mut warnings = Vec::new();
    if found.len() > most {
        found.truncate(most);
        warnings.push(format!("only the {most} furthest off are here"));
    }
    Ok(Page { warnings, ..Page::whole(found) })
}

fn anomaly(state: &ApiState, of: &Subject, off: Departure) -> Anomaly {
    let Departure { hour_us, value, expected, band, z, since_us } = off;
    let mut unit = 1.0;
    let mut found = Anomaly {
        what: of.what(),
        chain: None,
        token: None,
        symbol: None,
        verified: true,
        asset: None,
        quote: None,
        source: None,
        value: String::new(),
        expected: String::new(),
        low: String::new(),
        high: String::new(),
        z: (z * 100.0).round() / 100.0,
        hour_us,
        since_us,
    };
    match of {
        Subject::Token((chain, token), symbol) => {
            let facts = state.tokens.get(chain, token).map(|(facts, _)| facts).unwrap_or_default();
            unit = 10_f64.powi(facts.decimals.unwrap_or(0).into());
            found.chain = Some(chain.clone());
            found.token = Some(format!("{token:#x}"));
            found.verified = facts.verified;
            found.symbol = facts.symbol.or_else(|| symbol.clone());
        }
        Subject::Asset { asset, quote, source, .. } => {
            found.asset = Some(asset.clone());
            found.quote = Some(quote.clone());
            found.source = Some(source.clone());
        }
    }
    found.value = decimal_text(value / unit);
    found.expected = decimal_text(expected / unit);
    found.low = decimal_text(band.0 / unit);
    found.high = decimal_text(band.1 / unit);
    found
}

impl ApiState {
    /// The hours of everything, from memory where they were asked for within a minute.
    async fn hours(&self, hours: u32, verified: bool) -> Result<Arc<Vec<Series>>, Problem> {
        self.series.get((hours, verified), || self.read_hours(hours, verified)).await
    }

    async fn read_hours(&self, hours: u32, verified: bool) -> Result<Vec<Series>, Problem> {
        let now = now_us();
        let this_hour_us = now.div_euclid(HOUR_US) * HOUR_US;
        let last_us = this_hour_us - HOUR_US;
        let first_us = last_us - i64::from(hours) * HOUR_US;
        let tokens = if verified {
            let stored: BTreeSet<String> =
                self.heads().await?.iter().map(|head| head.chain.clone()).collect();
            self.tokens.verified(|chain| stored.contains(chain))
        } else {
            self.store.busiest_tokens(last_us, MAX_BUSIEST).await?
        };
        let (of_tokens, of_assets) = tokio::join!(
            self.store.token_hours(&tokens, (first_us, last_us)),
            self.store.asset_hours((first_us + HOUR_US, this_hour_us))
        );
        let wanted: BTreeSet<TokenOfChain> = tokens.into_iter().collect();
        let mut series = token_series(&wanted, of_tokens?, last_us);
        series.extend(asset_series(of_assets?, now));
        Ok(series)
    }
}

/// An hour without a transfer is none at all, from the first hour on that the chain has.
fn token_series(
    wanted: &BTreeSet<TokenOfChain>,
    found: Vec<TokenHour>,
    last_us: i64,
) -> Vec<Series> {
    let mut begins: HashMap<String, i64> = HashMap::new();
    let mut tokens: BTreeMap<TokenOfChain, (Option<String>, HashMap<i64, f64>)> = BTreeMap::new();
    for hour in found {
        // Oldest first.
        begins.entry(hour.token.0.clone()).or_insert(hour.hour_us);
        if !wanted.contains(&hour.token) {
            continue;
        }
        let (symbol, hours) = tokens.entry(hour.token).or_default();
        *symbol = hour.symbol.or_else(|| symbol.take());
        hours.insert(hour.hour_us, hour.value);
    }
    let series = tokens.into_iter().map(|(token, (symbol, moved))| {
        let begin_us = begins.get(&token.0).copied().unwrap_or(last_us);
        let hours = (0..=(last_us - begin_us) / HOUR_US).map(|hour| {
            let hour_us = begin_us + hour * HOUR_US;
            (hour_us, moved.get(&hour_us).copied().unwrap_or(0.0))
        });
        Series { hours: hours.collect(), of: Subject::Token(token, symbol) }
    });
    series.collect()
}

fn asset_series(found: Vec<AssetHour>, now: i64) -> Vec<Series> {
    let mut assets: BTreeMap<(String, String, String), [Hours; 2]> = BTreeMap::new();
    for hour in found {
        let [prices, volumes] = assets.entry((hour.asset, hour.quote, hour.source)).or_default();
        prices.push((hour.hour_us, hour.close));
        volumes.extend(hour.volume_24h.map(|volume| (hour.hour_us, volume)));
    }
    let mut series = Vec::new();
    for ((asset, quote, source), all) in assets {
        for (what, hours) in [What::Price, What::MarketVolume].into_iter().zip(all) {
            let is_new = hours.last().is_some_and(|(hour_us, _)| now - hour_us < MAX_AGE_US);
            if is_new {
                let (asset, quote, source) = (asset.clone(), quote.clone(), source.clone());
                series.push(Series { of: Subject::Asset { what, asset, quote, source }, hours });
            }
        }
    }
    series
}
