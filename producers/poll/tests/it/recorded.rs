//! Recorded answers of the real providers, served over HTTP: the expected texts below were copied
//! from the recordings by hand.

use crypto_intel_poll::{Config, DryRunAnswer, ProviderSettings, dry_run};
use crypto_intel_schemas::{Decimal, Event, Index, Price};
use crypto_intel_testkit::recorded_data;
use serde_json::json;

use crate::stand_in::{Asked, Reply, StandIn};

/// A recorded answer. `None`, with a note on stderr, if there are no recordings and none are required.
fn recorded(name: &str) -> Option<Vec<u8>> {
    let path = recorded_data()?.join("api").join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

async fn try_recorded(
    provider: &str,
    body: Vec<u8>,
    parameters: serde_json::Value,
) -> (DryRunAnswer, Asked) {
    let stand_in = StandIn::start([Reply::json(body)]).await;
    let settings = ProviderSettings {
        base_url: Some(stand_in.url().into()),
        parameters: serde_json::from_value(parameters).unwrap(),
        ..ProviderSettings::default()
    };
    let config =
        Config { providers: [(provider.to_owned(), settings)].into(), ..Config::default() };
    let mut runs = dry_run(&config, provider, None).await.unwrap();
    assert_eq!(runs.len(), 1);
    let requests = stand_in.requests();
    assert_eq!(requests.len(), 1);
    (runs.remove(0).outcome.unwrap(), requests[0].clone())
}

fn only_price(answer: &DryRunAnswer) -> &Price {
    match answer.events.as_slice() {
        [Event::Price(price)] => price,
        other => panic!("{other:?}"),
    }
}

fn text(value: &Option<Decimal>) -> &str {
    value.as_ref().map_or("", Decimal::as_str)
}

#[tokio::test]
async fn coingecko_prices_are_exact() {
    let Some(body) = recorded("coingecko/simple_price.4.json") else { return };
    let (answer, asked) = try_recorded("coingecko", body, json!({ "assets": ["bitcoin"] })).await;
    assert_eq!(asked.path, "/api/v3/simple/price");
    assert_eq!(asked.query("ids"), Some("bitcoin"));
    assert_eq!(asked.query("vs_currencies"), Some("usd"));
    assert!(asked.headers["user-agent"].to_str().unwrap().starts_with("crypto-intel/"));
    let price = only_price(&answer);
    assert_eq!((price.asset.as_str(), price.quote.as_str()), ("bitcoin", "usd"));
    assert_eq!(price.price.as_str(), "76975");
    assert_eq!(text(&price.market_cap), "1542226908349.8406");
    assert_eq!(text(&price.volume_24h), "29096603418.89408");
    assert_eq!(text(&price.change_24h_percent), "-1.4093297098441402");
    assert_eq!(price.event_at_us, 1_779_092_258_000_000);
    assert_eq!(price.id, "coingecko:price:bitcoin/usd:1779092258000000");
    assert_eq!(price.source, "coingecko");
    assert_eq!((answer.missing.len(), answer.problems.len()), (0, 0));
}

#[tokio::test]
async fn coingecko_without_a_time_takes_the_slot() {
    let Some(body) = recorded("coingecko/simple_price.3.json") else { return };
    let parameters = json!({ "assets": ["raiden-network"], "quotes": ["eur"] });
    let (answer, _) = try_recorded("coingecko", body, parameters).await;
    let price = only_price(&answer);
    assert_eq!((price.asset.as_str(), price.quote.as_str()), ("raiden-network", "eur"));
    assert_eq!(price.price.as_str(), "0.00068765");
    assert_eq!(price.event_at_us % 450_000_000, 0, "start of a slot of 450 s");
    assert!(price.observed_at_us - price.event_at_us < 450_000_000 + 10_000_000);
}

#[tokio::test]
async fn coingecko_says_what_it_does_not_know() {
    let Some(body) = recorded("coingecko/simple_price_missing_quote.1.json") else { return };
    let parameters = json!({ "assets": ["usd-coin", "no-such-coin"], "quotes": ["usd", "eur"] });
    let (answer, asked) = try_recorded("coingecko", body, parameters).await;
    assert_eq!(asked.query("ids"), Some("usd-coin,no-such-coin"));
    assert_eq!(only_price(&answer).price.as_str(), "0.999534");
    assert_eq!(answer.missing, ["usd-coin/eur", "no-such-coin/usd", "no-such-coin/eur"]);
}

#[tokio::test]
async fn binance_tickers_are_prices_in_their_own_quote() {
    let Some(body) = recorded("binance/ticker_24hr_BTCUSDT.1.json") else { return };
    let symbols = json!({ "symbols": { "BTCUSDT": { "asset": "bitcoin", "quote": "usdt" } } });
    let (answer, asked) = try_recorded("binance", body, symbols).await;
    assert_eq!(asked.path, "/api/v3/ticker/24hr");
    assert_eq!(asked.query("symbols"), Some(r#"["BTCUSDT"]"#));
    let price = only_price(&answer);
    assert_eq!((price.asset.as_str(), price.quote.as_str()), ("bitcoin", "usdt"));
    assert_eq!(price.price.as_str(), "76050.12");
    assert_eq!(text(&price.volume_24h), "3152800000.12");
    assert_eq!(text(&price.change_24h_percent), "2.91");
    assert_eq!(price.event_at_us, 1_778_198_399_999_000);
}

#[tokio::test]
async fn binance_pairs_of_coins_keep_their_quote() {
    let Some(body) = recorded("binance/ticker_24hr.1.json") else { return };
    let symbols = json!({ "symbols": {
        "BNBBTC": { "asset": "binancecoin", "quote": "btc" },
        "ETHBTC": { "asset": "ethereum", "quote": "btc" },
    } });
    let (answer, _) = try_recorded("binance", body, symbols).await;
    let price = only_price(&answer);
    assert_eq!((price.quote.as_str(), price.price.as_str()), ("btc", "4.000002"));
    assert_eq!(text(&price.change_24h_percent), "-95.96");
    assert_eq!(answer.missing, ["ethereum/btc"]);
}

#[tokio::test]
async fn fear_and_greed_is_an_index() {
    let Some(body) = recorded("alternative_me/fng.1.json") else { return };
    let (answer, asked) = try_recorded("alternative_me", body, json!({})).await;
    assert_eq!((asked.path.as_str(), asked.query("limit")), ("/fng/", Some("1")));
    let expected = Index {
        id: "alternative_me:index:fear-greed:1779494400000000".to_owned(),
        index: "fear-greed".to_owned(),
        value: Decimal::parse("28").unwrap(),
        classification: Some("Fear".to_owned()),
        ..Index::at("alternative_me", 1_779_494_400_000_000, answer.events[0].observed_at_us())
    };
    assert_eq!(answer.events, [Event::Index(expected)]);
}
