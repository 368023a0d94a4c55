use crypto_intel_schemas::{
    Address, B256, Block, Decimal, Erc20Transfer, Event, I256, Int256, InternalTransfer,
    NativeTransfer, Price, Swap, U256, Uint256, WatchEntry, Watched,
};
use crypto_intel_store::{RowSet, Table};

use crate::support::{database, dropped, rows, step, write};

const HOUR_US: i64 = 3_600_000_000;
/// 2026-01-05 22:00 UTC.
const START_US: i64 = 1_767_650_400_000_000;

fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn transfer(hours: i64, hash: u8, value: U256, watched: bool) -> Event {
    Event::from(Erc20Transfer {
        chain: "test".into(),
        block_hash: B256::repeat_byte(hash),
        block_time_us: START_US + hours * HOUR_US + 1_800_000_000,
        address: address(0xAA),
        from: address(1),
        to: address(2),
        value: Uint256(value),
        symbol: Some("TOK".into()),
        decimals: Some(18),
        usd: Some(Decimal::parse("2.5").unwrap()),
        watched: if watched { vec!["w".into()] } else { Vec::new() },
        ..Erc20Transfer::empty()
    })
}

#[tokio::test]
async fn volumes_are_exact_and_follow_a_reorg() {
    let (_database, store, client) = database().await;
    let events = [
        transfer(0, 1, U256::MAX, false),
        transfer(0, 2, U256::MAX, false),
        transfer(1, 3, U256::from(5), false),
        transfer(2, 4, U256::from(7), false),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let hourly = "SELECT to_char(bucket, 'DD HH24'), symbol, transfers, value, amount, usd \
         FROM token_volume_hourly ORDER BY bucket";
    let twice_max =
        "231584178474632390847141970017375815706539969331281128078915168015826259279870";
    let (whole, fraction) = twice_max.split_at(twice_max.len() - 18);
    assert_eq!(
        rows(&client, hourly).await,
        [
            &format!("05 22 TOK 2 {twice_max} {whole}.{fraction} 5.0"),
            "05 23 TOK 1 5 0.000000000000000005 2.5",
            "06 00 TOK 1 7 0.000000000000000007 2.5",
        ]
    );
    let daily =
        "SELECT to_char(bucket, 'DD'), transfers, usd FROM token_volume_daily ORDER BY bucket";
    assert_eq!(rows(&client, daily).await, ["05 3 7.5", "06 1 2.5"]);

    let (transaction, _) = store.begin(step(1, 2), &[]).await.unwrap();
    let dropped = [dropped(0, 4, START_US + 2 * HOUR_US + 1_800_000_000)];
    assert_eq!(transaction.delete_rows(&dropped).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    assert_eq!(rows(&client, daily).await, ["05 3 7.5"]);
}

#[tokio::test]
async fn candles_open_with_the_first_price_and_close_with_the_last() {
    let (_database, store, client) = database().await;
    let tick = |minutes: i64, source: &str, price: &str| {
        Event::from(Price {
            asset: "bitcoin".into(),
            quote: "usd".into(),
            price: Decimal::parse(price).unwrap(),
            volume_24h: Some(Decimal::parse(price).unwrap()),
            ..Price::at(source, START_US + minutes * 60_000_000, 0)
        })
    };
    // Out of order, as after a backlog.
    let events = [
        tick(3, "p", "0.30000000000000000001"),
        tick(0, "p", "2"),
        tick(4, "p", "1"),
        tick(2, "p", "9"),
        tick(7, "p", "5"),
        tick(1, "q", "100"),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let candles = |name: &str| {
        format!(
            "SELECT to_char(bucket, 'HH24:MI'), source, open, high, low, close, ticks, volume_24h \
             FROM {name} ORDER BY source, bucket"
        )
    };
    let five = rows(&client, &candles("candles_5m")).await;
    let expected = [
        "22:00 p 2 9 0.30000000000000000001 1 4 1",
        "22:05 p 5 5 5 5 1 5",
        "22:00 q 100 100 100 100 1 100",
    ];
    assert_eq!(five, expected);
    assert_eq!(rows(&client, &candles("candles_1m")).await.len(), 6);
    for wide in ["candles_1h", "candles_1d"] {
        let all = rows(&client, &candles(wide)).await;
        assert!(all[0].ends_with("p 2 9 0.30000000000000000001 5 5 5"), "{wide}: {all:?}");
    }
}

#[tokio::test]
async fn wallets_see_what_came_in_and_went_out() {
    let (_database, store, client) = database().await;
    let watched = |chain: &str, byte: u8, label: &str| Watched {
        chain: chain.parse().unwrap(),
        address: address(byte).into(),
        entry: WatchEntry { label: Some(label.into()), ..WatchEntry::default() },
    };
    let native = |to: u8, from: u8, value: u64| {
        Event::from(NativeTransfer {
            chain: "test".into(),
            block_hash: B256::repeat_byte(to),
            block_time_us: START_US,
            from: address(from),
            to: address(to),
            value: Uint256::from(value),
            watched: vec!["w".into()],
            ..NativeTransfer::empty()
        })
    };
    let internal = Event::from(InternalTransfer {
        chain: "test".into(),
        block_time_us: START_US + 3 * HOUR_US,
        from: address(9),
        to: address(1),
        value: Uint256::from(1_000),
        watched: vec!["w".into()],
        ..InternalTransfer::empty()
    });
    let events = [
        native(1, 5, 100),
        native(6, 1, 30),
        internal,
        transfer(0, 9, U256::from(40), true),
        // Touches no watched wallet.
        transfer(0, 10, U256::from(4_000), false),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let entries = [
        watched("all", 1, "everywhere"),
        watched("test", 1, "mine"),
        watched("all", 2, "two"),
        watched("other", 5, "five"),
    ];
    store.keep_wallets(&entries).await.unwrap();
    let daily = "SELECT to_char(bucket, 'DD'), label, token IS NULL, transfers_in, transfers_out, value_in, value_out, \
         value_net, usd_net FROM wallet_volume_daily ORDER BY bucket, label, token NULLS FIRST";
    assert_eq!(
        rows(&client, daily).await,
        [
            "05 mine t 1 1 100 30 70 0",
            "05 mine f 0 1 0 40 -40 -2.5",
            "05 two f 1 0 40 0 40 2.5",
            "06 mine t 1 0 1000 0 1000 0",
        ],
        "one wallet by its own chain's name, and none of other chains"
    );
    let hourly = "SELECT sum(value_net), count(*) FROM wallet_volume_hourly WHERE token IS NULL";
    assert_eq!(rows(&client, hourly).await, ["1070 2"]);
    let flow = "SELECT standard, transfers, value FROM watched_flow_daily ORDER BY value";
    let flows = ["native 1 30", "erc20 1 40", "native 1 100", "internal 1 1000"];
    assert_eq!(rows(&client, flow).await, flows);
}

#[tokio::test]
async fn pools_and_fees_are_summed_by_hour_and_day() {
    let (_database, store, client) = database().await;
    let swap = |hours: i64, amount0: i64, amount1: i64| {
        Event::from(Swap {
            chain: "test".into(),
            block_hash: B256::repeat_byte(hours as u8 + 1),
            block_time_us: START_US + hours * HOUR_US,
            address: address(7),
            amount0: Int256(I256::try_from(amount0).unwrap()),
            amount1: Int256(I256::try_from(amount1).unwrap()),
            ..Swap::empty()
        })
    };
    write(&store, step(0, 1), &[swap(0, 10, -20), swap(1, -4, 8), swap(2, 1, -1)]).await.unwrap();
    let pools = "SELECT to_char(bucket, 'DD'), swaps, volume0, volume1, net0, net1 FROM pool_volume_daily ORDER BY bucket";
    assert_eq!(rows(&client, pools).await, ["05 2 14 28 6 -12", "06 1 1 1 1 -1"]);
    assert_eq!(rows(&client, "SELECT count(*) FROM pool_volume_hourly").await, ["3"]);

    let mut gas = RowSet::default();
    for number in 0..10_u64 {
        let marker = Block {
            chain: "test".into(),
            block_number: number,
            block_hash: B256::repeat_byte(number as u8),
            block_time_us: START_US + number as i64 * 60_000_000,
            base_fee_per_gas: (number > 0)
                .then(|| Uint256::from(1_000_000_000_000_000_000 + number)),
            gas_used: 10,
            gas_limit: 30,
            transactions: 2,
            ..Block::empty()
        };
        gas.add_block_gas(&marker, 0, 0).unwrap();
    }
    gas.sort_and_reduce();
    let (transaction, _) = store.begin(step(1, 2), &[]).await.unwrap();
    transaction
        .copy(Table::BlockGas, gas.table(Table::BlockGas).copy_body(|_| true).0)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    for name in ["base_fee_hourly", "base_fee_daily"] {
        let sql = format!(
            "SELECT p10 - 1e18::numeric, p50 - 1e18::numeric, p90 - 1e18::numeric, min - 1e18::numeric, \
             max - 1e18::numeric, blocks, gas_used, gas_limit, transactions FROM {name}"
        );
        assert_eq!(rows(&client, &sql).await, ["1 5 9 1 9 10 100 300 20"], "{name}");
    }
}

/// Statements that only the community edition can execute: the Apache edition must answer that a feature is not supported,
/// not with a syntax error.
#[tokio::test]
async fn statements_of_the_community_edition_are_valid() {
    use crypto_intel_store::{
        Edition,
        policies::{StorageConfig, community_statements},
    };

    let (_database, store, client) = database().await;
    if !matches!(store.edition().await.unwrap(), Edition::TimescaleApache(_)) {
        return;
    }
    let mut config = StorageConfig::default();
    let days = &mut config.retention_days;
    (days.transfers, days.market, days.rollups) = (90, 90, 400);
    let statements = community_statements(&config);
    assert!(statements.len() > 80, "{}", statements.len());
    // Pretend to be the community edition: the functions of the migrations then use its statements.
    client
        .batch_execute(
            "CREATE OR REPLACE FUNCTION server_edition() RETURNS text LANGUAGE sql STABLE \
             AS $$ SELECT 'community' $$",
        )
        .await
        .unwrap();
    let of_migrations = [
        "SELECT use_column_store('logs', 'chain', 'block_time DESC, log_index')",
        "SELECT make_rollup('r', 'market_ticks', '1 hour', 'event_at', \
         'SELECT <bucket> AS bucket, asset, <first:price> AS open FROM <source> GROUP BY 1, 2')",
    ];
    for statement in statements.iter().map(String::as_str).chain(of_migrations) {
        let error = client.batch_execute(statement).await.unwrap_err();
        let code = error.code().unwrap().code();
        assert_eq!(code, "0A000", "{statement}: {error:?}");
    }
}
