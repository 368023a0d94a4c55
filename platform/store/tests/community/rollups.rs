use crypto_intel_schemas::{Address, B256, Decimal, Erc20Transfer, Event, Price, U256, Uint256};
use crypto_intel_store::{SchemaName, Store, rebuild};

use crate::support::{database, dropped, rows, step, write};

/// 2026-01-05 22:00 UTC.
const START_US: i64 = 1_767_650_400_000_000;
const HOUR_US: i64 = 3_600_000_000;

pub(crate) const ROLLUPS: [&str; 16] = [
    "base_fee_daily",
    "base_fee_hourly",
    "candles_1d",
    "candles_1h",
    "candles_1m",
    "candles_5m",
    "pool_volume_daily",
    "pool_volume_hourly",
    "token_volume_daily",
    "token_volume_hourly",
    "watched_internal_flow_daily",
    "watched_internal_flow_hourly",
    "watched_native_flow_daily",
    "watched_native_flow_hourly",
    "watched_token_flow_daily",
    "watched_token_flow_hourly",
];

fn transfer(hours: i64, value: u64) -> Event {
    Event::from(Erc20Transfer {
        chain: "test".into(),
        block_hash: B256::repeat_byte(hours as u8),
        block_time_us: START_US + hours * HOUR_US,
        address: Address::repeat_byte(9),
        value: Uint256(U256::from(value)),
        watched: vec!["w".into()],
        ..Erc20Transfer::empty()
    })
}

#[tokio::test]
async fn every_rollup_is_a_continuous_aggregate_that_knows_the_newest_rows() {
    let (_database, _store, client) = database().await;
    let sql = "SELECT view_name FROM timescaledb_information.continuous_aggregates \
         WHERE NOT materialized_only ORDER BY view_name";
    assert_eq!(rows(&client, sql).await, ROLLUPS);
}

#[tokio::test]
async fn a_refresh_changes_no_result_and_a_dropped_block_leaves() {
    let (_database, store, client) = database().await;
    let events: Vec<Event> = (0..30).map(|hours| transfer(hours, 10)).collect();
    write(&store, step(0, 1), &events).await.unwrap();
    let daily =
        "SELECT to_char(bucket, 'DD'), transfers, value FROM token_volume_daily ORDER BY bucket";
    let flow =
        "SELECT to_char(bucket, 'DD'), transfers, value FROM watched_flow_daily ORDER BY bucket";
    let expected = ["05 2 20", "06 24 240", "07 4 40"];
    assert_eq!(rows(&client, daily).await, expected, "from the rows");
    let refresh = async || {
        for name in [
            "token_volume_hourly",
            "token_volume_daily",
            "watched_token_flow_hourly",
            "watched_token_flow_daily",
        ] {
            let sql = format!("CALL refresh_continuous_aggregate('{name}', NULL, NULL)");
            client.batch_execute(&sql).await.unwrap();
        }
    };
    refresh().await;
    assert_eq!(rows(&client, daily).await, expected, "from the rollup");
    assert_eq!(rows(&client, flow).await, expected);

    let (transaction, _) = store.begin(step(1, 2), &[]).await.unwrap();
    let gone = [dropped(0, 5, START_US + 5 * HOUR_US)];
    assert_eq!(transaction.delete_rows(&gone).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    // Also a late row, and one after the newest.
    write(&store, step(2, 3), &[transfer(-1, 7), transfer(80, 1)]).await.unwrap();
    refresh().await;
    let expected = ["05 3 27", "06 23 230", "07 4 40", "09 1 1"];
    assert_eq!(rows(&client, daily).await, expected);
    assert_eq!(rows(&client, flow).await, expected);
}

#[tokio::test]
async fn candles_are_the_same_before_and_after_a_refresh() {
    let (_database, store, client) = database().await;
    let tick = |minutes: i64, price: &str| {
        Event::from(Price {
            asset: "bitcoin".into(),
            quote: "usd".into(),
            price: Decimal::parse(price).unwrap(),
            ..Price::at("p", START_US + minutes * 60_000_000, 0)
        })
    };
    let events = [tick(3, "0.30000000000000000001"), tick(0, "2"), tick(4, "1"), tick(7, "5")];
    write(&store, step(0, 1), &events).await.unwrap();
    for name in ["candles_1m", "candles_5m", "candles_1h", "candles_1d"] {
        let sql =
            format!("SELECT bucket, open, high, low, close, ticks FROM {name} ORDER BY bucket");
        let before = rows(&client, &sql).await;
        let refresh = format!("CALL refresh_continuous_aggregate('{name}', NULL, NULL)");
        client.batch_execute(&refresh).await.unwrap();
        assert_eq!(rows(&client, &sql).await, before, "{name}");
    }
    let hour = "SELECT open, high, low, close, ticks FROM candles_1h";
    assert_eq!(rows(&client, hour).await, ["2 5 0.30000000000000000001 5 4"]);
}

#[tokio::test]
async fn rollups_of_new_tables_include_rows_written_afterwards() {
    let (database, live, client) = database().await;
    let schema: SchemaName = "second".parse().unwrap();
    let config = crate::support::config(database.url());
    let never = tokio_util::sync::CancellationToken::new();
    let second = Store::connect_to_schema(&config, &schema, &never).await;
    let second = second.unwrap();
    rebuild::create_schema(&second, "a test's").await.unwrap();
    second.migrate(false).await.unwrap();
    let now: i64 = client
        .query_one("SELECT (extract(epoch FROM now()) * 1000000)::bigint", &[])
        .await
        .unwrap()
        .get(0);
    let at = |hash: u8, ago_us: i64| {
        let Event::Erc20Transfer(mut body) = transfer(0, 1) else { unreachable!() };
        body.block_hash = B256::repeat_byte(hash);
        body.block_time_us = now - ago_us;
        Event::Erc20Transfer(body)
    };
    let before = [at(1, 0), at(2, 2 * HOUR_US), at(3, 30 * HOUR_US)];
    write(&second, step(0, 1), &before).await.unwrap();
    rebuild::refresh_aggregates(&second, "public").await.unwrap();
    // The hour and the day are not over: new rows belong to the same buckets.
    write(&second, step(1, 2), &[at(4, 0), at(5, 1_000)]).await.unwrap();
    for name in ["token_volume_hourly", "token_volume_daily"] {
        let sql = format!("SELECT sum(transfers) FROM second.{name}");
        assert_eq!(rows(&client, &sql).await, ["5"], "{name}");
    }
    // Finished buckets are stored.
    let kept =
        "SELECT count(*) FROM second.token_volume_hourly WHERE bucket < now() - interval '1 day'";
    assert_eq!(rows(&client, kept).await, ["1"]);
    drop(live);
}
