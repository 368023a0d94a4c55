//! Which of several sources' prices becomes the dollars of transfers.

use crypto_intel_nats::Bucket;
use crypto_intel_poll::ProviderSettings;
use crypto_intel_schemas::{AssetPrice, Decimal, SourceVerdict, U256};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, eventually};
use serde_json::json;

use crate::{
    harness::{only, price_of, start},
    stand_in::{Reply, StandIn},
};

fn each_second(parameter: &str, value: serde_json::Value) -> ProviderSettings {
    ProviderSettings {
        every_seconds: Some(1),
        parameters: [(parameter.to_owned(), value)].into(),
        ..ProviderSettings::default()
    }
}

#[tokio::test]
async fn a_wrong_tick_of_the_preferred_source_reaches_no_transfer() {
    let broker = Broker::start_with_users().await;
    let now_ms = now_us() / 1_000;
    let ticker = |price: &str, at_ms: i64| {
        Reply::json(format!(
            r#"[{{"symbol": "BTCUSDT", "lastPrice": "{price}", "quoteVolume": "1", "closeTime": {at_ms}}}]"#
        ))
    };
    let preferred = StandIn::start([ticker("64001", now_ms - 2_000)]).await;
    let answer =
        format!(r#"{{"bitcoin": {{"usd": 64000, "last_updated_at": {}}}}}"#, now_ms / 1_000);
    let other = StandIn::start([Reply::json(answer)]).await;
    let symbols = json!({ "BTCUSDT": { "asset": "bitcoin", "quote": "usdt" } });
    let config = only(&[
        ("binance", &preferred, each_second("symbols", symbols)),
        ("coingecko", &other, each_second("assets", json!(["bitcoin"]))),
    ]);
    let role = start(&broker, config, "a").await;
    let of_both = async || {
        let price = price_of(&broker, "bitcoin").await;
        price.is_some_and(|price| price.source == "binance" && price.sources.len() == 2)
    };
    eventually(async || of_both().await).await;

    // From here on everything that a reader of the bucket sees is looked at.
    let bucket = broker.nats.kv(Bucket::Prices).await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    preferred.reply([ticker("640010", now_ms - 1_000)]);
    let mut was_seen = false;
    while !was_seen {
        let change = tokio::time::timeout(std::time::Duration::from_secs(30), watch.next()).await;
        let value = change.unwrap().unwrap().value.unwrap();
        let price: AssetPrice = serde_json::from_slice(&value).unwrap();
        // One bitcoin of a token with 8 decimals, as the producer of a chain values it.
        let dollars = Decimal::value_of(U256::from(100_000_000), 8, &price.price, 2).unwrap();
        assert!(["64000", "64001"].contains(&dollars.as_str()), "{price:?}");
        was_seen = price
            .sources
            .iter()
            .any(|said| said.price.as_str() == "640010" && said.verdict == SourceVerdict::Jump);
    }
    assert_eq!(price_of(&broker, "bitcoin").await.unwrap().source, "coingecko");
    assert!(role.metric("crypto_intel_poll_prices_total", &["binance", "jump"]) >= 1.0);

    preferred.reply([ticker("64002", now_ms)]);
    eventually(async || {
        price_of(&broker, "bitcoin").await.is_some_and(|price| price.price.as_str() == "64002")
    })
    .await;
    role.stop().await;
}
