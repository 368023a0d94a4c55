//! From an answer over HTTP to events in the stream and dollars in the bucket.

use crypto_intel_nats::Bucket;
use crypto_intel_poll::ProviderSettings;
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, eventually};
use serde_json::json;

use crate::{
    harness::{event_of, only, price_of, start},
    stand_in::{Reply, StandIn},
};

const PROBE: &str = "poll.coingecko.simple-price";

fn coingecko(assets: &[&str], every_seconds: u32) -> ProviderSettings {
    ProviderSettings {
        every_seconds: Some(every_seconds),
        parameters: [("assets".to_owned(), json!(assets))].into(),
        ..ProviderSettings::default()
    }
}

#[tokio::test]
async fn an_answer_becomes_one_batch_of_events_and_dollar_prices() {
    let broker = Broker::start_with_users().await;
    let now_s = now_us() / 1_000_000;
    let answer = format!(
        r#"{{"bitcoin": {{"usd": 64000.120, "last_updated_at": {now_s}}},
             "pepe": {{"usd": 1.1e-05, "last_updated_at": {now_s}}}}}"#
    );
    let stand_in = StandIn::start([Reply::json(answer)]).await;
    let config = only(&[("coingecko", &stand_in, coingecko(&["bitcoin", "pepe"], 3_600))]);
    let role = start(&broker, config, "a").await;
    role.until_healthy(PROBE).await;

    let messages = broker.messages("MARKET").await;
    let subjects: Vec<&str> = messages.iter().map(|message| message.subject.as_str()).collect();
    assert_eq!(subjects, ["market.price.bitcoin", "market.price.pepe"]);
    let schemas: Vec<_> = messages.iter().map(|message| message.schema.as_deref()).collect();
    assert_eq!(schemas, [Some("market.price/1"); 2]);
    let Event::Price(bitcoin) = event_of(&messages[0]) else { panic!("{messages:?}") };
    assert_eq!(bitcoin.price.as_str(), "64000.12");
    assert_eq!(bitcoin.event_at_us, now_s * 1_000_000);
    assert!(bitcoin.observed_at_us >= bitcoin.event_at_us);
    let slot = slot_start_seconds(bitcoin.observed_at_us, 3_600);
    let ids: Vec<_> = messages.iter().map(|message| message.header("Nats-Msg-Id")).collect();
    assert_eq!(ids, [None, Some(format!("coingecko:simple-price:{slot}").as_str())]);

    let price = price_of(&broker, "pepe").await.unwrap();
    assert_eq!((price.price.as_str(), price.source.as_str()), ("0.000011", "coingecko"));
    assert_eq!(price.at_us, now_s * 1_000_000);
    let entry = broker.nats.kv(Bucket::Prices).await.unwrap().get("bitcoin").await.unwrap();
    let raw: serde_json::Value = serde_json::from_slice(&entry.unwrap().value).unwrap();
    let at_us = now_s * 1_000_000;
    let expected = json!({
        "price": "64000.12", "at_us": at_us, "source": "coingecko", "how": "only",
        "sources": [{ "source": "coingecko", "price": "64000.12", "quote": "usd", "at_us": at_us, "verdict": "used" }],
    });
    assert_eq!(raw, expected);

    assert!(role.context.health.report().ready, "{:?}", role.context.health.report());
    let labels = ["coingecko", "simple-price"];
    assert_eq!(role.metric("crypto_intel_poll_events_published_total", &labels), 2.0);
    assert_eq!(role.metric("crypto_intel_poll_requests_total", &["ok"]), 1.0);
    assert_eq!(role.metric("crypto_intel_poll_prices_total", &["used"]), 2.0);
    role.stop().await;
}

/// Start of the slot.
fn slot_start_seconds(time_us: i64, every_seconds: i64) -> i64 {
    time_us / 1_000_000 / every_seconds * every_seconds
}

#[tokio::test]
async fn an_index_goes_to_the_signals() {
    let broker = Broker::start_with_users().await;
    let answer = r#"{"data": [{"value": "28", "value_classification": "Fear", "timestamp": "1779494400"}],
                     "metadata": {"error": null}}"#;
    let stand_in = StandIn::start([Reply::json(answer)]).await;
    let settings = ProviderSettings::default();
    let role = start(&broker, only(&[("alternative_me", &stand_in, settings)]), "a").await;
    eventually(async || broker.count("SIGNALS").await == 1).await;
    let messages = broker.messages("SIGNALS").await;
    assert_eq!(messages[0].subject, "sentiment.fear-greed");
    let Event::Index(index) = event_of(&messages[0]) else { panic!("{messages:?}") };
    assert_eq!((index.value.as_str(), index.classification.as_deref()), ("28", Some("Fear")));
    eventually(async || {
        let probe = role.probe("poll.alternative_me.fear-greed");
        probe.is_some_and(|probe| !probe.healthy && probe.detail.contains("newest data is"))
    })
    .await;
    role.stop().await;
}

#[tokio::test]
async fn a_restart_in_the_same_slot_asks_and_publishes_nothing_again() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::json(r#"{"bitcoin": {"usd": 64000.5}}"#)]).await;
    let config = only(&[("coingecko", &stand_in, coingecko(&["bitcoin"], 86_400))]);
    let first = start(&broker, config.clone(), "first").await;
    first.until_healthy(PROBE).await;
    first.stop().await;

    let second = start(&broker, config.clone(), "second").await;
    second.until_healthy(PROBE).await;
    second.stop().await;
    assert_eq!((stand_in.requests().len(), broker.count("MARKET").await), (1, 1));

    // As if the first had crashed after the acknowledgement and before it wrote its cursor.
    let cursors = broker.nats.kv(Bucket::Cursors).await.unwrap();
    cursors.delete("poll.coingecko.simple-price").await.unwrap();
    let third = start(&broker, config, "third").await;
    third.until_healthy(PROBE).await;
    assert_eq!((stand_in.requests().len(), broker.count("MARKET").await), (2, 1));
    assert_eq!(third.metric("crypto_intel_poll_duplicates_total", &[]), 1.0);
    assert_eq!(third.metric("crypto_intel_poll_events_published_total", &[]), 0.0);
    let entry = cursors.get("poll.coingecko.simple-price").await.unwrap().unwrap();
    let progress: serde_json::Value = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!(progress["ids"], json!([]), "what the stream holds is not known to be ours");
    third.stop().await;
}

#[tokio::test]
async fn what_a_provider_gives_again_unchanged_is_not_published_again() {
    let broker = Broker::start_with_users().await;
    let answer = |price: &str, at: i64| {
        Reply::json(format!(r#"{{"bitcoin": {{"usd": {price}, "last_updated_at": {at}}}}}"#))
    };
    let now_s = now_us() / 1_000_000;
    let stand_in = StandIn::start([answer("1.5", now_s - 5)]).await;
    let config = only(&[("coingecko", &stand_in, coingecko(&["bitcoin"], 1))]);
    let role = start(&broker, config, "a").await;
    eventually(async || stand_in.requests().len() >= 3).await;
    assert_eq!(broker.count("MARKET").await, 1);
    stand_in.reply([answer("1.75", now_s)]);
    eventually(async || broker.count("MARKET").await == 2).await;
    eventually(async || {
        price_of(&broker, "bitcoin").await.is_some_and(|price| price.price.as_str() == "1.75")
    })
    .await;
    assert!(role.metric("crypto_intel_poll_events_unchanged_total", &[]) >= 2.0);
    role.stop().await;
}

#[tokio::test]
async fn an_answer_that_has_not_changed_is_confirmed_without_being_sent() {
    let broker = Broker::start_with_users().await;
    let tagged = Reply::json(r#"{"bitcoin": {"usd": 1.5}}"#)
        .header("etag", "\"one\"")
        .header("last-modified", "Sat, 21 Nov 2026 06:01:30 GMT");
    let stand_in = StandIn::start([tagged, Reply::status(304, "")]).await;
    let config = only(&[("coingecko", &stand_in, coingecko(&["bitcoin"], 1))]);
    let role = start(&broker, config, "a").await;
    // Without a time of the provider, an unchanged price is the price of the next slot as well.
    eventually(async || broker.count("MARKET").await >= 3).await;
    let requests = stand_in.requests();
    assert_eq!(requests[0].headers.get("if-none-match"), None);
    assert_eq!(requests[2].headers["if-none-match"], "\"one\"");
    assert_eq!(requests[2].headers["if-modified-since"], "Sat, 21 Nov 2026 06:01:30 GMT");
    assert!(role.probe(PROBE).unwrap().healthy);
    stand_in.reply([Reply::json(r#"{"bitcoin": {"usd": 2.5}}"#)]);
    eventually(async || {
        price_of(&broker, "bitcoin").await.is_some_and(|price| price.price.as_str() == "2.5")
    })
    .await;
    let before = stand_in.requests().len();
    eventually(async || stand_in.requests().len() > before).await;
    let last = stand_in.requests().pop().unwrap();
    assert_eq!(last.headers.get("if-none-match"), None, "an answer without a tag is not kept");
    role.stop().await;
}

#[tokio::test]
async fn a_provider_that_asks_for_a_pause_gets_it() {
    let broker = Broker::start_with_users().await;
    let limited = Reply::status(429, "slow down").header("retry-after", "3");
    let good = Reply::json(r#"{"bitcoin": {"usd": 64000.5}}"#);
    let stand_in = StandIn::start([limited, good]).await;
    let config = only(&[("coingecko", &stand_in, coingecko(&["bitcoin"], 1))]);
    let role = start(&broker, config, "a").await;
    eventually(async || {
        role.probe(PROBE).is_some_and(|probe| !probe.healthy && probe.detail.contains("wait 3 s"))
    })
    .await;
    assert_eq!(role.metric("crypto_intel_poll_held", &["coingecko"]), 1.0);
    assert_eq!(broker.nats.stream_state("MARKET").await.unwrap().messages, 0);
    role.until_healthy(PROBE).await;
    assert_eq!(role.metric("crypto_intel_poll_held", &["coingecko"]), 0.0);
    let requests = stand_in.requests();
    let pause = requests[1].at - requests[0].at;
    assert!(pause.as_millis() >= 2_990, "asked again after {pause:?}");
    assert!(broker.count("MARKET").await >= 1);
    assert_eq!(role.metric("crypto_intel_poll_requests_total", &["rate_limited"]), 1.0);
    role.stop().await;
}

#[tokio::test]
async fn wrong_parts_of_an_answer_do_not_hold_up_the_others() {
    let broker = Broker::start_with_users().await;
    let answer = r#"{"bitcoin": {"usd": "n/a"}, "ethereum": {"usd": 3000}}"#;
    let stand_in = StandIn::start([Reply::json(answer)]).await;
    let config = only(&[("coingecko", &stand_in, coingecko(&["bitcoin", "ethereum"], 3_600))]);
    let role = start(&broker, config, "a").await;
    role.until_healthy(PROBE).await;
    let messages = broker.messages("MARKET").await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].subject, "market.price.ethereum");
    assert_eq!(role.metric("crypto_intel_poll_invalid_total", &[]), 1.0);
    assert_eq!(role.metric("crypto_intel_poll_missing", &[]), 1.0);
    role.stop().await;
}

#[tokio::test]
async fn the_preferred_source_prices_an_asset_while_its_quote_is_worth_a_dollar() {
    let broker = Broker::start_with_users().await;
    let (now_s, now_ms) = (now_us() / 1_000_000, now_us() / 1_000);
    let dollars = |tether: &str| {
        Reply::json(format!(
            r#"{{"bitcoin": {{"usd": 64000, "last_updated_at": {now_s}}},
                 "tether": {{"usd": {tether}, "last_updated_at": {now_s}}}}}"#
        ))
    };
    let slow = StandIn::start([dollars("0.9")]).await;
    let ticker = format!(
        r#"[{{"symbol": "BTCUSDT", "lastPrice": "71111.1", "quoteVolume": "1", "closeTime": {now_ms}}}]"#
    );
    let fast = StandIn::start([Reply::json(ticker)]).await;
    let coins = coingecko(&["bitcoin", "tether"], 3_600);
    let role = start(&broker, only(&[("coingecko", &slow, coins)]), "a").await;
    eventually(async || price_of(&broker, "tether").await.is_some()).await;
    eventually(async || price_of(&broker, "bitcoin").await.is_some()).await;
    role.stop().await;

    let symbols = json!({ "BTCUSDT": { "asset": "bitcoin", "quote": "usdt" } });
    let pairs = ProviderSettings {
        every_seconds: Some(1),
        parameters: [("symbols".to_owned(), symbols)].into(),
        ..ProviderSettings::default()
    };
    let role = start(&broker, only(&[("binance", &fast, pairs)]), "a").await;
    // 71111.1 tether are worth 63999.99 dollars while one is worth 0.9.
    let from_binance = async |dollars: &str| {
        price_of(&broker, "bitcoin").await.is_some_and(|price| {
            (price.source.as_str(), price.price.as_str()) == ("binance", dollars)
        })
    };
    eventually(async || from_binance("63999.99").await).await;

    let back = json!({ "price": "1.0004", "at_us": now_us(), "source": "coingecko" });
    let bucket = broker.nats.kv(Bucket::Prices).await.unwrap();
    bucket.put("tether", serde_json::to_vec(&back).unwrap()).await.unwrap();
    eventually(async || from_binance("71111.1").await).await;
    role.stop().await;
}
