//! Each field of what pollers say is in its column.

use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{Decimal, Event, Kind, samples, subjects};
use serde_json::{Value, json};

use crate::harness::Servers;

/// The tables, and the row of each kind's sample but for its times.
fn expected() -> [(&'static str, Kind, Value); 6] {
    [
        (
            "market_ticks",
            Kind::Price,
            json!({
                "asset": "bitcoin", "quote": "usd", "source": "coingecko", "price": "68412.5",
                "volume_24h": "28114906371.42", "market_cap": "1352400000000",
                "change_24h_percent": "-1.25",
            }),
        ),
        (
            "indices",
            Kind::Index,
            json!({
                "index_name": "fear-greed", "source": "alternative-me", "value": "23",
                "classification": "Extreme Fear",
            }),
        ),
        (
            "metrics",
            Kind::Metric,
            json!({
                "name": "market.funding-rate", "key": "btc-usdt", "source": "okx",
                "value": "-0.0000125", "unit": "ratio",
                "labels": r#"{"instrument": "BTC-USDT-SWAP", "interval_hours": "8"}"#,
            }),
        ),
        (
            "articles",
            Kind::Article,
            json!({
                "link": "https://news.example/2024/10/bitcoin-etf-inflows?id=7",
                "source": "news-example", "title": "Bitcoin ETFs take in 470 million dollars",
                "author": "Ada Example", "publisher": "The Example Ledger",
                "summary": "It is the fifth day of inflows in a row.",
                "assets": "{bitcoin,ethereum}", "tags": "{etf,markets}",
            }),
        ),
        (
            "whales",
            Kind::Whale,
            json!({
                "chain": "bitcoin",
                "hash": "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
                "sub_index": "1", "source": "whale-example", "asset": "bitcoin", "symbol": "BTC",
                "amount": "1250.5", "amount_usd": "85551831.25",
                "sender": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
                "recipient": "bc1qgdjqv0av3q56jvd82tkdjpy7gdp9ut8tlqmgrpmv24sq90ecnvqqjwvw97",
                "sender_owner": "unknown", "recipient_owner": "Example Exchange",
            }),
        ),
        (
            "provider_statuses",
            Kind::ProviderStatus,
            json!({
                "provider": "okx", "endpoint": "tickers", "state": "quota_spent",
                "detail": "the day's quota is used up, next at midnight UTC",
                "latency_ms": "182", "quota_used": "10000", "quota_limit": "10000",
                "quota_window": "day", "stale_seconds": "312", "on_time_percent": "98.75",
            }),
        ),
    ]
}

impl Servers {
    async fn say(&self, event: &Event) {
        let message = OutMessage::new(subjects::of(event), event.encode());
        self.nats.publish(message).await.unwrap();
    }

    /// The rows of a table, every column as text; its times are whole numbers of microseconds.
    async fn texts(&self, table: &str) -> Vec<Value> {
        let columns = "SELECT string_agg(format(CASE WHEN data_type LIKE 'timestamp%' \
                       THEN '%L, (extract(epoch FROM %I) * 1000000)::bigint::text' ELSE '%L, %I::text' END, \
                       column_name, column_name), ', ') FROM information_schema.columns WHERE table_name = ";
        let columns: String = self.query(&format!("{columns}'{table}'")).await[0].get(0);
        let rows =
            format!("SELECT jsonb_build_object({columns})::text FROM {table} ORDER BY event_at");
        let rows = self.query(&rows).await;
        rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_every_polled_kind_is_in_its_column() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let expected = expected();
    let polled = Kind::ALL.iter().filter(|kind| kind.is_polled() || **kind == Kind::ProviderStatus);
    assert!(polled.into_iter().all(|kind| expected.iter().any(|(_, of, _)| of == kind)));
    for (_, kind, _) in &expected {
        // The same twice, as after an acknowledgement that was lost.
        servers.say(&samples::sample(*kind)).await;
        servers.say(&samples::sample(*kind)).await;
    }
    for stream in ["MARKET", "SIGNALS", "STATUS"] {
        servers.settled(stream).await;
    }
    for (table, kind, mut row) in expected {
        let event = samples::sample(kind);
        row["event_at"] = event.event_at_us().to_string().into();
        row["observed_at"] = event.observed_at_us().to_string().into();
        assert_eq!(servers.texts(table).await, [row], "{kind}");
    }
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_leaves_out_is_null() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let [metric, article, mut whale, status] =
        [Kind::Metric, Kind::Article, Kind::Whale, Kind::ProviderStatus]
            .map(samples::sample_minimal);
    let Event::Whale(of_whale) = &mut whale else { panic!("a whale") };
    of_whale.amount_usd = Decimal::parse("0.5").ok();
    for event in [&metric, &article, &whale, &status] {
        servers.say(event).await;
    }
    for stream in ["MARKET", "SIGNALS", "STATUS"] {
        servers.settled(stream).await;
    }
    for (table, empty) in [
        ("metrics", &["labels"][..]),
        ("articles", &["author", "publisher", "summary", "assets", "tags"]),
        (
            "whales",
            &[
                "asset",
                "symbol",
                "amount",
                "sender",
                "recipient",
                "sender_owner",
                "recipient_owner",
            ],
        ),
        (
            "provider_statuses",
            &[
                "latency_ms",
                "quota_used",
                "quota_limit",
                "stale_seconds",
                "on_time_percent",
                "quota_window",
                "detail",
            ],
        ),
    ] {
        let rows = servers.texts(table).await;
        let [row] = rows.as_slice() else { panic!("{table}: {rows:?}") };
        let fields = row.as_object().unwrap();
        let mut nulls: Vec<&str> =
            fields.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| &**name).collect();
        let mut empty = empty.to_vec();
        nulls.sort_unstable();
        empty.sort_unstable();
        assert_eq!(nulls, empty, "{table}");
    }
    assert_eq!(servers.texts("whales").await[0]["sub_index"], "-1");
    assert_eq!(servers.texts("provider_statuses").await[0]["endpoint"], "");
    persist.stop().await;
}
