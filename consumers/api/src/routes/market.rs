use axum::{Json, extract::State};
use crypto_intel_nats::{Bucket, unescape_key};
use crypto_intel_schemas::{AssetPrice, SourcePrice, Stream};
use crypto_intel_service::now_us;
use crypto_intel_store::{Candle, CandleFilter, CandleStep, IndexValue, Mover};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::scopes::Scope,
    guard::{AsOf, Guard},
    limits::cost,
    page::{Page, Window},
    parameters::{
        Asked, At, NoParameters, parameters, path_parameters,
        values::{Moment, Name, one_of},
    },
    problem::Problem,
    state::ApiState,
};

/// The streams whose events are in the tables of markets.
const OF_MARKETS: &[Stream] = &[Stream::Market, Stream::History];
/// Movers of one answer.
const MAX_MOVERS: u32 = 100;
/// Candles of one answer.
const MAX_CANDLES: u32 = 5_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let guard = |cost| Guard::new(Scope::Market, cost);
    OpenApiRouter::new()
        .routes(guard(cost::SUMMARY).of(routes!(summary)))
        .routes(guard(cost::SUMMARY).of(routes!(movers)))
        .routes(guard(cost::SUMMARY).by_position_of(OF_MARKETS).of(routes!(candles)))
        .routes(
            guard(cost::LOOK_UP)
                .by_position_of(&[Stream::Signals, Stream::History])
                .of(routes!(indices)),
        )
}

/// The time over which a change is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(u32);

one_of!(Span, [
    "1h" => Span(3_600),
    "6h" => Span(21_600),
    "24h" => Span(86_400),
    "7d" => Span(604_800),
]);

one_of!(CandleStep, [
    "1m" => CandleStep::Minute,
    "5m" => CandleStep::FiveMinutes,
    "1h" => CandleStep::Hour,
    "1d" => CandleStep::Day,
]);

/// How far a price moved, by one provider. Numbers are decimal text.
#[derive(Debug, Serialize, ToSchema)]
struct MoverItem {
    /// The asset.
    asset: String,
    /// What it is priced in.
    quote: String,
    /// The provider.
    source: String,
    /// Newest price.
    price: String,
    /// Price at the begin of the span.
    price_before: String,
    /// Change in percent; null where the first price was 0.
    change_percent: Option<String>,
    /// Lowest price of the span.
    low: String,
    /// Highest price of the span.
    high: String,
    /// Traded in 24 hours, in units of `quote`; null where the provider does not say.
    volume_24h: Option<String>,
    /// Time of the first price, microseconds UTC.
    since_us: i64,
    /// Time of the newest price, microseconds UTC.
    event_at_us: i64,
}

impl From<&Mover> for MoverItem {
    fn from(mover: &Mover) -> Self {
        Self {
            asset: mover.asset.clone(),
            quote: mover.quote.clone(),
            source: mover.source.clone(),
            price: mover.price.clone(),
            price_before: mover.price_before.clone(),
            change_percent: mover.change_percent.clone(),
            low: mover.low.clone(),
            high: mover.high.clone(),
            volume_24h: mover.volume_24h.clone(),
            since_us: mover.between_us.0,
            event_at_us: mover.between_us.1,
        }
    }
}

/// The newest value of an index by a provider.
#[derive(Debug, Serialize, ToSchema)]
struct IndexItem {
    /// Its name, such as fear_and_greed.
    name: String,
    /// The provider.
    source: String,
    /// The value, decimal text, in the index's own scale.
    value: String,
    /// The provider's word for it.
    classification: Option<String>,
    /// When it was so, microseconds UTC.
    event_at_us: i64,
}

impl From<IndexValue> for IndexItem {
    fn from(index: IndexValue) -> Self {
        let IndexValue { name, source, value, classification, event_at_us } = index;
        Self { name, source, value, classification, event_at_us }
    }
}

/// The price of an asset that the pipeline uses, and what each source says.
#[derive(Debug, Serialize, ToSchema)]
struct PriceItem {
    /// The asset.
    asset: String,
    /// US dollars for one unit, decimal text.
    price: String,
    /// Time of the price, microseconds UTC.
    at_us: i64,
    /// How old it is, seconds; never negative.
    age_seconds: i64,
    /// Provider of the price.
    source: String,
    /// What each provider said last.
    sources: Vec<SourceItem>,
}

/// What a provider said of an asset.
#[derive(Debug, Serialize, ToSchema)]
struct SourceItem {
    /// The provider.
    source: String,
    /// Units of `quote` for one unit of the asset, decimal text.
    price: String,
    /// `usd`, or a quote that counts as dollars.
    quote: String,
    /// Its time according to the provider, microseconds UTC.
    at_us: i64,
}

/// Prices, movers and indices at a glance.
#[derive(Debug, Serialize, ToSchema)]
struct MarketSummary {
    /// The price of each asset that is used for dollar values, by name.
    prices: Vec<PriceItem>,
    /// What moved most in 24 hours.
    movers: Vec<MoverItem>,
    /// The newest value of each index.
    indices: Vec<IndexItem>,
}

/// Prices in use with their sources, what moved most in 24 hours, and indices.
#[utoipa::path(
    get,
    path = "/api/v1/market/summary",
    tag = "market",
    responses((status = 200, body = MarketSummary))
)]
async fn summary(
    State(state): State<ApiState>,
    _: Asked<NoParameters>,
) -> Result<Json<MarketSummary>, Problem> {
    let (prices, movers, indices) =
        tokio::join!(prices(&state), state.movers(86_400), state.store.newest_indices());
    let movers = movers?;
    Ok(Json(MarketSummary {
        prices: prices?,
        movers: movers.iter().take(20).map(MoverItem::from).collect(),
        indices: indices?.into_iter().map(IndexItem::from).collect(),
    }))
}

async fn prices(state: &ApiState) -> Result<Vec<PriceItem>, Problem> {
    let prices = state.prices.get((), || read_prices(state)).await?;
    let now = now_us();
    Ok(prices.iter().map(|(asset, price)| PriceItem::new(asset, price, now)).collect())
}

async fn read_prices(state: &ApiState) -> Result<Vec<(String, AssetPrice)>, Problem> {
    let entries = state.nats.kv(Bucket::Prices).await?.entries("").await?;
    let read = entries.iter().filter_map(|(key, entry)| {
        Some((unescape_key(key)?, serde_json::from_slice(&entry.value).ok()?))
    });
    let mut prices: Vec<(String, AssetPrice)> = read.collect();
    prices.sort_by(|(one, _), (two, _)| one.cmp(two));
    Ok(prices)
}

impl PriceItem {
    fn new(asset: &str, price: &AssetPrice, now: i64) -> Self {
        let source = |one: &SourcePrice| SourceItem {
            source: one.source.clone(),
            price: one.price.to_string(),
            quote: one.quote.clone(),
            at_us: one.at_us,
        };
        Self {
            asset: asset.to_owned(),
            price: price.price.to_string(),
            at_us: price.at_us,
            age_seconds: (now - price.at_us).max(0) / 1_000_000,
            source: price.source.clone(),
            sources: price.sources.iter().map(source).collect(),
        }
    }
}

parameters! {
    /// Over which time.
    pub(crate) struct MoverParameters {
        /// Over which time: 1h, 6h, 24h or 7d; 24h without a word.
        pub(crate) span: Option<Span>,
    }
}

/// Assets by how far their price moved, the most first; at most 100.
#[utoipa::path(
    get,
    path = "/api/v1/market/movers",
    tag = "market",
    params(MoverParameters),
    responses((status = 200, body = Page<MoverItem>))
)]
async fn movers(
    State(state): State<ApiState>,
    asked: Asked<MoverParameters>,
) -> Result<Page<MoverItem>, Problem> {
    let span = asked.parameters.span.unwrap_or(Span(86_400));
    let movers = state.movers(span.0).await?;
    Ok(Page::whole(movers.iter().map(MoverItem::from).collect()))
}

impl ApiState {
    /// The price of an asset that is used now, from memory where it was asked for a moment ago.
    pub(super) async fn price_of(&self, asset: &str) -> Result<Option<AssetPrice>, Problem> {
        let prices = self.prices.get((), || read_prices(self)).await?;
        Ok(prices.iter().find(|(name, _)| name == asset).map(|(_, price)| price.clone()))
    }

    /// The movers of a span, from memory where they were asked for a moment ago.
    async fn movers(&self, span_seconds: u32) -> Result<std::sync::Arc<Vec<Mover>>, Problem> {
        let ask = || self.store.movers(span_seconds, MAX_MOVERS);
        Ok(self.movers.get(span_seconds, ask).await?)
    }
}

path_parameters!(OfAsset { asset: Name = "The asset, such as bitcoin." });

parameters! {
    /// Which candles.
    pub(crate) struct CandleParameters {
        /// Width of a candle: 1m, 5m, 1h or 1d; 1h without a word.
        pub(crate) step: Option<CandleStep>,
        /// Only in this quote, such as usd.
        pub(crate) quote: Option<Name>,
        /// Only of this provider.
        pub(crate) source: Option<Name>,
        /// From then on; seven days before `until` without a word.
        pub(crate) since: Option<Moment>,
        /// Up to then; now without a word.
        pub(crate) until: Option<Moment>,
    }
}

/// Prices within a step, by one provider. Prices are decimal text.
#[derive(Debug, Serialize, ToSchema)]
struct CandleItem {
    /// Begin of the step, microseconds UTC.
    bucket_us: i64,
    /// What the asset is priced in.
    quote: String,
    /// The provider.
    source: String,
    /// First price.
    open: String,
    /// Highest price.
    high: String,
    /// Lowest price.
    low: String,
    /// Last price.
    close: String,
    /// How many times the provider said a price.
    ticks: u64,
    /// Traded in the 24 hours before, as the provider said last.
    volume_24h: Option<String>,
}

impl From<Candle> for CandleItem {
    fn from(candle: Candle) -> Self {
        Self {
            bucket_us: candle.bucket_us,
            quote: candle.quote,
            source: candle.source,
            open: candle.open,
            high: candle.high,
            low: candle.low,
            close: candle.close,
            ticks: candle.ticks,
            volume_24h: candle.volume_24h,
        }
    }
}

/// Candles of an asset, oldest first; at most 5,000, the newest of the time that is asked for.
#[utoipa::path(
    get,
    path = "/api/v1/market/assets/{asset}/candles",
    tag = "market",
    params(OfAsset, CandleParameters),
    responses((status = 200, body = Page<CandleItem>))
)]
async fn candles(
    State(state): State<ApiState>,
    At(asset): At<Name>,
    AsOf(as_of): AsOf,
    asked: Asked<CandleParameters>,
) -> Result<Page<CandleItem>, Problem> {
    let wanted = asked.parameters;
    let window = Window::new(wanted.since, wanted.until)?;
    let step = wanted.step.unwrap_or(CandleStep::Hour);
    let filter = CandleFilter {
        asset: asset.0,
        quote: wanted.quote.map(|quote| quote.0),
        source: wanted.source.map(|source| source.0),
        // The candle in which the time begins is whole.
        since_us: window.since_us.div_euclid(step.us()) * step.us(),
        until_us: window.until_us,
    };
    let found = state.store.candles(step, &filter, MAX_CANDLES).await?;
    let warnings = if found.len() == MAX_CANDLES as usize {
        vec![format!(
            "only the newest {MAX_CANDLES} candles are here: ask for a shorter time or a wider step"
        )]
    } else {
        Vec::new()
    };
    let items = found.into_iter().map(CandleItem::from).collect();
    Ok(Page { window: Some(window), as_of, warnings, ..Page::whole(items) })
}

/// The newest value of each index by each provider.
#[utoipa::path(
    get,
    path = "/api/v1/market/indices",
    tag = "market",
    responses((status = 200, body = Page<IndexItem>))
)]
async fn indices(
    State(state): State<ApiState>,
    _: Asked<NoParameters>,
) -> Result<Page<IndexItem>, Problem> {
    let found = state.store.newest_indices().await?;
    Ok(Page::whole(found.into_iter().map(IndexItem::from).collect()))
}
