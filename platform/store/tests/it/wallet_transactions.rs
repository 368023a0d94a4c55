//! Transactions: the text view, the last ones of an address, and what wallets sent, received and paid.

use crypto_intel_schemas::{
    Address, B256, Decimal, Event, Kind, Transaction, TransactionStatus, U256, Uint256, WatchEntry,
    Watched, samples,
};

use crate::support::{database, rows, step, write};

const HOUR_US: i64 = 3_600_000_000;
/// 2026-01-05 22:00 UTC.
const START_US: i64 = 1_767_650_400_000_000;
const ETHER: u64 = 1_000_000_000_000_000_000;

fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

/// A transaction of that hour, with a fee of so many hundredths of an ether.
fn sent(hour: i64, from: u8, to: Option<u8>, fee: Option<u64>) -> Transaction {
    Transaction {
        chain: "test".into(),
        block_hash: B256::repeat_byte(hour as u8 + 1),
        block_number: hour as u64,
        block_time_us: START_US + hour * HOUR_US,
        tx_index: u32::from(from) * 100 + u32::from(to.unwrap_or(0)),
        tx_hash: B256::repeat_byte(from),
        tx_from: Some(address(from)),
        tx_to: to.map(address),
        value: Uint256::from(ETHER / 2),
        symbol: Some("ETH".into()),
        decimals: Some(18),
        gas_used: fee.map(|_| 21_000),
        fee: fee.map(|fee| Uint256::from(fee * ETHER / 100)),
        fee_usd: fee.map(|fee| Decimal::from_units(U256::from(fee * 20), 0)),
        status: fee.map(|_| TransactionStatus::Success),
        watched: vec!["w".into()],
        ..Transaction::empty()
    }
}

fn failed(transaction: Transaction) -> Transaction {
    Transaction { status: Some(TransactionStatus::Failed), ..transaction }
}

#[tokio::test]
async fn the_view_shows_text_whole_units_and_status() {
    let (_database, store, client) = database().await;
    let unknown =
        Transaction { status: Some(TransactionStatus::Unknown), ..sent(2, 1, Some(2), Some(1)) };
    let events = [
        Event::from(sent(0, 1, Some(2), Some(3))),
        Event::from(failed(sent(1, 1, None, Some(1)))),
        Event::from(unknown),
        Event::from(sent(3, 1, Some(2), None)),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let shown = "SELECT left(sender_text, 6), left(recipient_text, 6), status, amount, fee_amount, fee_usd \
                 FROM v_transactions ORDER BY block_time";
    let expected = [
        "0x0101 0x0202 success 0.5 0.03 60",
        "0x0101 - failed 0.5 0.01 20",
        "0x0101 0x0202 unknown 0.5 0.01 20",
        "0x0101 0x0202 - 0.5 - -",
    ];
    assert_eq!(rows(&client, shown).await, expected);
    let last = |wallet: u8, rest: &str| {
        format!(
            "SELECT direction, left(hex_text(counterparty), 4), status, fee_amount \
             FROM last_transactions(hex_bytes('{:#x}'){rest})",
            address(wallet)
        )
    };
    let of_sender =
        ["out 0x02 - -", "out 0x02 unknown 0.01", "out - failed 0.01", "out 0x02 success 0.03"];
    assert_eq!(rows(&client, &last(1, "")).await, of_sender);
    assert_eq!(rows(&client, &last(1, ", 2")).await, of_sender[..2]);
    let of_recipient = ["in 0x01 - -", "in 0x01 unknown 0.01", "in 0x01 success 0.03"];
    assert_eq!(rows(&client, &last(2, "")).await, of_recipient);
    assert!(rows(&client, &last(3, "")).await.is_empty());
}

#[tokio::test]
async fn the_index_of_both_parties_leads_to_their_last_transactions() {
    let (_database, store, client) = database().await;
    write(&store, step(0, 1), &[samples::sample(Kind::Transaction)]).await.unwrap();
    client.batch_execute("SET enable_seqscan = off").await.unwrap();
    let question =
        format!("EXPLAIN SELECT * FROM last_transactions(hex_bytes('{:#x}'))", address(1));
    let plan = rows(&client, &question).await.join("\n");
    for index in ["transactions_sender", "transactions_recipient"] {
        assert!(plan.contains(index), "{index} is missing in:\n{plan}");
    }
}

#[tokio::test]
async fn wallets_see_what_they_sent_received_and_paid() {
    let (_database, store, client) = database().await;
    let watched = |chain: &str, byte: u8, label: &str| Watched {
        chain: chain.parse().unwrap(),
        address: address(byte).into(),
        entry: WatchEntry { label: Some(label.into()), ..WatchEntry::default() },
    };
    let unwatched = Transaction { watched: Vec::new(), ..sent(0, 8, Some(9), Some(5)) };
    let created = Transaction { contract: Some(address(2)), ..sent(3, 1, None, Some(4)) };
    let events = [
        sent(0, 1, Some(2), Some(3)),
        failed(sent(1, 1, Some(7), Some(1))),
        // Without a receipt it counts, but its fee is not known.
        sent(1, 1, Some(2), None),
        sent(1, 5, Some(1), Some(2)),
        created,
        unwatched,
    ]
    .map(Event::from);
    write(&store, step(0, 1), &events).await.unwrap();
    let entries =
        [watched("all", 1, "everywhere"), watched("test", 1, "mine"), watched("all", 2, "two")];
    store.keep_wallets(&entries).await.unwrap();
    let daily = "SELECT to_char(bucket, 'DD'), label, symbol, sent, failed, received, gas_used, fee_amount, fee_usd, fees \
                 FROM wallet_transactions_daily ORDER BY bucket, label";
    assert_eq!(
        rows(&client, daily).await,
        [
            "05 mine ETH 3 1 1 42000 0.04 80 2",
            "05 two ETH 0 0 2 - - - 0",
            "06 mine ETH 1 0 0 21000 0.04 80 1",
            "06 two ETH 0 0 1 - - - 0",
        ]
    );
    let hourly = "SELECT count(*), sum(sent), sum(failed), sum(fee) FROM wallet_transactions_hourly WHERE label = 'mine'";
    assert_eq!(rows(&client, hourly).await, ["3 4 1 80000000000000000"]);
    let pairs = "SELECT count(*), sum(transactions), sum(failed) FROM watched_transactions_daily";
    assert_eq!(rows(&client, pairs).await, ["4 5 1"], "the unwatched one is in none");
}
