//! The past of a polled endpoint through the real binary: candles of a year become rows, whatever happens on the way, and
//! no rule sees them.

use std::collections::BTreeSet;

use crypto_intel_sandbox::{
    ProviderOptions, ProviderServer,
    provider::{ProviderAnswer, ProviderFault},
};
use crypto_intel_schemas::Event;
use crypto_intel_testkit::{assert_same_set, connect_to, eventually, messages, try_sql_client};
use serde_json::{Value, json};

use crate::servers::Servers;

const DAYS: i64 = 365;
const HOUR_S: i64 = 3_600;
const KILLS: i64 = 2;
const TICKER: &str = "/api/v3/ticker/24hr";
const KLINES: &str = "/api/v3/klines";

/// Fires on every candle of the stand-in, and on no price that is polled before the end.
const RULE: &str = r#"
[[rule]]
id = "high"
on = "market.price.bitcoin"
when = "price > 80000.0"
severity = "warning"
title = "Bitcoin at {{ price }}"
"#;

/// The price that is polled from now on: of this moment, which is no whole hour.
fn set_live_price(server: &ProviderServer, price: &str) {
    let at_ms = now_s() * 1_000 + 1;
    let ticker = json!([{ "symbol": "BTCUSDT", "lastPrice": price, "quoteVolume": "1", "closeTime": at_ms }]);
    server.set_answer(TICKER, &[], ProviderAnswer::json(ticker.to_string()));
}

fn now_s() -> i64 {
    crypto_intel_service::now_us() / 1_000_000
}

/// Asset and end of every candle that is stored.
async fn stored(servers: &Servers) -> Result<Vec<(String, i64)>, tokio_postgres::Error> {
    let client = try_sql_client(&servers.database_url).await?;
    let rows = client
        .query(
            "SELECT asset, extract(epoch FROM event_at)::bigint FROM market_ticks \
             WHERE source = 'binance' AND quote = 'usdt' AND extract(epoch FROM event_at) % 3600 = 0",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

fn configure(servers: &Servers, server: &ProviderServer) {
    std::fs::write(servers.folder().join("rules.toml"), RULE).unwrap();
    let text = std::fs::read_to_string(servers.config()).unwrap();
    let poll = format!(
        "[poll]\nonly = [\"binance\"]\nhistory = {{ days = {DAYS}, only = [\"binance/ticker-24h\"] }}\n\
         [poll.providers.binance]\nbase_url = \"{}\"\nevery_seconds = 2\nper_minute = 12000\n\
         [poll.providers.binance.parameters.symbols]\n\
         BTCUSDT = {{ asset = \"bitcoin\", quote = \"usdt\" }}\nETHUSDT = {{ asset = \"ethereum\", quote = \"usdt\" }}\n\
         [alerts]\nrules = [\"rules.toml\"]\n",
        server.url()
    );
    std::fs::write(servers.config(), text.replace("[poll]\nenabled = false\n", &poll)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_candles_becomes_rows_once_although_killed_and_refused_and_no_rule_fires() {
    let server = ProviderServer::start(ProviderOptions { generate: true }).await.unwrap();
    set_live_price(&server, "50000");
    let servers = Servers::start("").await;
    configure(&servers, &server);
    let begin_s = now_s() - DAYS * 24 * HOUR_S;
    let roles = ["poll", "persist", "alerts"];
    let mut process = servers.run(&roles);
    for kill in 1..=KILLS {
        server.inject(Some(KLINES), ProviderFault::TooManyRequests { retry_after: Some(1) }, 1);
        server.inject(Some(KLINES), ProviderFault::HalfAnswer, 1);
        let due = usize::try_from(2 * DAYS * 24 * kill / (KILLS + 1)).unwrap();
        eventually(async || {
            assert!(!process.has_ended(), "ended by itself:\n{}", servers.log_tail());
            stored(&servers).await.is_ok_and(|rows| rows.len() >= due)
        })
        .await;
        process.kill();
        process = servers.run(&roles);
    }
    let listed = || -> Value {
        let output = servers.command(&["providers", "list", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    };
    let histories = |listed: &Value| -> Vec<Value> {
        listed[0]["report"]["histories"].as_array().cloned().unwrap_or_default()
    };
    let listed = eventually(async || {
        let listed = listed();
        // An hour may end meanwhile, which is asked for a day later.
        let seconds = |one: &Value, name: &str| one[name].as_i64().unwrap();
        let done = |one: &Value| {
            seconds(one, "wanted_seconds") - seconds(one, "covered_seconds") <= HOUR_S
        };
        let all = histories(&listed);
        (all.len() == 2 && all.iter().all(done)).then_some(listed)
    })
    .await;
    // Of an hour that ended meanwhile one asset may have the candle, and the other not.
    let ends = histories(&listed).into_iter().map(|one| one["covered"][0][1].as_i64().unwrap());
    let until_s = ends.min().unwrap();
    let wanted = |asset: &'static str| {
        let hours = (begin_s / HOUR_S + 2)..=(until_s / HOUR_S);
        hours.map(move |hour| (asset.to_owned(), hour * HOUR_S))
    };
    let expected: BTreeSet<(String, i64)> = wanted("bitcoin").chain(wanted("ethereum")).collect();
    let within = |rows: Vec<(String, i64)>| -> Vec<(String, i64)> {
        let first = (begin_s / HOUR_S + 2) * HOUR_S;
        rows.into_iter().filter(|(_, end_s)| (first..=until_s).contains(end_s)).collect()
    };
    eventually(async || {
        stored(&servers).await.is_ok_and(|rows| within(rows).len() >= expected.len())
    })
    .await;
    assert_same_set(expected, within(stored(&servers).await.unwrap()));

    // The rule is in force: what is polled fires it, and nothing did before.
    set_live_price(&server, "90000.5");
    let nats = connect_to(servers.nats.url(), "test").await;
    let fired = async || {
        let messages = messages(&nats, "ALERT").await;
        let events = messages.iter().map(|message| Event::decode(&message.payload).unwrap());
        let titles = events.filter_map(|event| match event {
            Event::Alert(alert) => Some(alert.title),
            _ => None,
        });
        titles.collect::<Vec<String>>()
    };
    eventually(async || !fired().await.is_empty()).await;
    assert_eq!(fired().await, ["Bitcoin at 90000.5"]);
    let kline_requests = server.requests().iter().filter(|one| one.path == KLINES).count();
    // 9 ranges of 1,000 candles for each of two, and what faults and kills repeat.
    assert!(kline_requests <= 18 + 2 * (2 + 2), "{kline_requests} requests");
    process.kill();
}
