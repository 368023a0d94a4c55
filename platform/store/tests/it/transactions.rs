use std::{str::FromStr, time::Duration};

use crypto_intel_schemas::{
    Address, Alert, Approval, B256, ContractCreation, ContractEvent, Decimal, Delivery,
    Erc721Transfer, Erc1155Transfer, Event, EventFields, I256, Index, Int256, InternalTransfer,
    Kind, Link, Liquidity, Log, NativeTransfer, Price, Swap, U256, Uint256, samples,
};
use crypto_intel_store::{Advance, ErrorClass, RowSet, StoreError, StreamPosition, Table};

use crate::support::{at, block, database, dropped, step, transfer, write};

#[tokio::test]
async fn uint256_is_exact_over_its_whole_range() {
    let (_database, store, client) = database().await;
    let values = [
        U256::ZERO,
        U256::from(1),
        U256::from(9_999),
        U256::from(10_000),
        U256::from(10).pow(U256::from(18)),
        U256::from(10).pow(U256::from(64)),
        U256::from(1) << 64,
        (U256::from(1) << 64) - U256::from(1),
        U256::from(1) << 192,
        U256::MAX,
    ];
    let events: Vec<Event> = values
        .iter()
        .enumerate()
        .map(|(log_index, value)| transfer(1, log_index as u32, *value))
        .collect();
    write(&store, step(0, 1), &events).await.unwrap();
    let rows = client
        .query("SELECT value::text FROM token_transfers ORDER BY log_index", &[])
        .await
        .unwrap();
    let stored: Vec<U256> =
        rows.iter().map(|row| U256::from_str(row.get::<_, &str>(0)).unwrap()).collect();
    assert_eq!(stored, values);
}

#[tokio::test]
async fn decimals_are_exact_with_sign_and_scale() {
    let (_database, store, client) = database().await;
    let texts = [
        "0",
        "1",
        "-1",
        "64000.5",
        "-0.25",
        "0.000000000000000001",
        "10000",
        "120000.00012",
        "99999999.9999",
    ];
    let events: Vec<Event> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            Event::from(Price {
                asset: format!("a{index}"),
                price: Decimal::parse(text).unwrap(),
                ..Price::at("p", 1_700_000_000_000_000, 0)
            })
        })
        .collect();
    write(&store, step(0, 1), &events).await.unwrap();
    let rows =
        client.query("SELECT price::text FROM market_ticks ORDER BY asset", &[]).await.unwrap();
    let stored: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, texts);
}

#[tokio::test]
async fn every_kind_fits_its_table() {
    let (_database, store, client) = database().await;
    let stored = Kind::ALL.iter().filter_map(|kind| Some((*kind, Table::of_kind(*kind)?)));
    for (sequence, (kind, table)) in stored.enumerate() {
        let sequence = sequence as u64;
        write(&store, step(sequence, sequence + 1), &[samples::sample(kind)]).await.unwrap();
        // Samples of several kinds have the same key.
        let deleted = client.execute(&format!("DELETE FROM {table}"), &[]).await.unwrap();
        assert_eq!(deleted, 1, "{kind} in {table}");
    }
}

#[tokio::test]
async fn values_of_every_form_are_stored_as_they_are() {
    let (_database, store, client) = database().await;
    let chain = || ("test".to_owned(), B256::repeat_byte(3));
    let (slug, hash) = chain();
    let watched = vec!["treasury".to_owned(), "ops, \"hot\"".to_owned()];
    let events = [
        Event::from(NativeTransfer {
            chain: slug.clone(),
            block_hash: hash,
            tx_from: Some(Address::repeat_byte(1)),
            value: Uint256::from(5),
            watched: watched.clone(),
            ..NativeTransfer::empty()
        }),
        Event::from(Erc721Transfer {
            chain: slug.clone(),
            block_hash: hash,
            ..Erc721Transfer::empty()
        }),
        Event::from(Erc1155Transfer {
            chain: slug.clone(),
            block_hash: hash,
            sub_index: Some(1),
            ..Erc1155Transfer::empty()
        }),
        Event::from(Approval {
            chain: slug.clone(),
            block_hash: hash,
            approved: Some(true),
            ..Approval::empty()
        }),
        Event::from(ContractCreation {
            chain: slug.clone(),
            block_hash: hash,
            ..ContractCreation::empty()
        }),
        Event::from(Log {
            chain: slug.clone(),
            block_hash: hash,
            topics: vec![B256::repeat_byte(7); 2],
            data: vec![1, 2, 3].into(),
            data_length: Some(3),
            ..Log::empty()
        }),
        Event::from(Swap {
            chain: slug.clone(),
            block_hash: hash,
            amount0: Int256(I256::MIN),
            tick: Some(-7),
            ..Swap::empty()
        }),
        Event::from(Liquidity {
            chain: slug.clone(),
            block_hash: hash,
            liquidity_delta: Some(Int256::from(-3)),
            tick_lower: Some(-8),
            ..Liquidity::empty()
        }),
        Event::from(ContractEvent {
            chain: slug.clone(),
            block_hash: hash,
            name: "Deposit".into(),
            fields: EventFields::from([("wad", "12".into())]),
            ..ContractEvent::empty()
        }),
        Event::from(InternalTransfer {
            chain: slug.clone(),
            block_hash: hash,
            sub_index: 2,
            trace_address: vec![2, 1],
            ..InternalTransfer::empty()
        }),
        Event::from(Index {
            index: "fear-greed".into(),
            value: Decimal::parse("20").unwrap(),
            classification: Some("Extreme Fear".into()),
            ..Index::at("alternative.me", 1, 1)
        }),
        Event::from(Alert {
            id: "a1".into(),
            lines: vec!["one".into(), "two".into()],
            links: vec![Link { label: "tx".into(), url: "https://x".into() }],
            block_number: Some(5),
            ..Alert::empty()
        }),
        Event::from(Delivery { id: "d1".into(), error: Some("no".into()), ..Delivery::empty() }),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let row = client
        .query_one(
            "SELECT watched, (SELECT lines FROM alerts), (SELECT links->0->>'label' FROM alerts), \
             (SELECT topic1 FROM logs), (SELECT count(*) FROM token_transfers), \
             (SELECT count(*) FROM v_token_transfers WHERE token_text LIKE '0x00%') \
             FROM native_transfers",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, Vec<String>>(0), watched);
    assert_eq!(row.get::<_, Vec<String>>(1), ["one", "two"]);
    assert_eq!(row.get::<_, &str>(2), "tx");
    assert_eq!(row.get::<_, &[u8]>(3), [7; 32]);
    assert_eq!((row.get::<_, i64>(4), row.get::<_, i64>(5)), (2, 2));
    let row = client
        .query_one(
            "SELECT amount0::text, tick, (SELECT liquidity_delta::text FROM liquidity), \
             (SELECT (fields->>'wad')::numeric::text FROM events), \
             (SELECT trace_address FROM internal_transfers), (SELECT count(*) FROM v_swaps) \
             FROM swaps",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), I256::MIN.to_string());
    assert_eq!(row.get::<_, i32>(1), -7);
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("-3", "12"));
    assert_eq!((row.get::<_, &str>(4), row.get::<_, i64>(5)), ("2.1", 1));
    for (table, rows) in store.table_counts().await.unwrap() {
        let expected = match table.as_str() {
            "token_transfers" => 2,
            "native_transfers" | "approvals" | "contracts" | "internal_transfers" | "swaps"
            | "liquidity" | "events" | "logs" | "indices" | "alerts" | "deliveries" => 1,
            _ => 0,
        };
        assert_eq!(rows, expected, "{table}");
    }
}

#[tokio::test]
async fn a_known_key_is_a_conflict_and_merging_absorbs_it() {
    let (_database, store, _client) = database().await;
    let events: Vec<Event> = (0..3).map(|index| transfer(1, index, U256::from(1))).collect();
    write(&store, step(0, 1), &events[..2]).await.unwrap();
    let error = write(&store, step(1, 2), &events).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict, "{error}");
    assert_eq!(store.position("EVM").await.unwrap(), at(1), "position and rows move together");

    let mut rows = RowSet::default();
    for event in &events {
        rows.add(event, 0, 0).unwrap();
    }
    // The second merge meets the staging table of the first.
    for (from, new) in [(1, 1), (2, 0)] {
        let (transaction, _) = store.begin(step(from, from + 1), &[]).await.unwrap();
        let body = rows.table(Table::TokenTransfers).copy_body(|_| true).0;
        assert_eq!(transaction.merge(Table::TokenTransfers, body).await.unwrap(), new);
        transaction.commit().await.unwrap();
    }
    assert_eq!(store.table_counts().await.unwrap()[0].1, 3);
}

#[tokio::test]
async fn only_one_of_two_writers_moves_a_position() {
    let (_database, store, _client) = database().await;
    store.position("EVM").await.unwrap();
    let (winner, _) = store.begin(step(0, 5), &[]).await.unwrap();
    let other = store.clone();
    let loser = tokio::spawn(async move { other.begin(step(0, 7), &[]).await });
    winner.commit().await.unwrap();
    let error = loser.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::FenceLost { current, .. } if current == at(5)), "{error}");
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let (_database, store, _client) = database().await;
    store.position("EVM").await.unwrap();
    let (transaction, _) = store.begin(step(0, 5), &[]).await.unwrap();
    let mut rows = RowSet::default();
    rows.add(&transfer(1, 0, U256::from(1)), 0, 0).unwrap();
    let body = rows.table(Table::TokenTransfers).copy_body(|_| true).0;
    transaction.copy(Table::TokenTransfers, body.clone()).await.unwrap();
    drop(transaction);
    store.try_rows(Table::TokenTransfers, body).await.unwrap();
    assert_eq!(store.table_counts().await.unwrap()[0].1, 0);
    assert_eq!(store.position("EVM").await.unwrap(), StreamPosition::default());
}

#[tokio::test]
async fn deletes_a_blocks_rows_and_keeps_its_neighbours() {
    let (_database, store, client) = database().await;
    let events = [
        transfer(1, 0, U256::from(1)),
        transfer(1, 1, U256::from(1)),
        transfer(2, 0, U256::from(1)),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let (transaction, _) = store.begin(step(1, 2), &[]).await.unwrap();
    let dropped = [dropped(1, 1, 1_700_000_000_123_456)];
    assert_eq!(transaction.delete_rows(&dropped).await.unwrap(), 2);
    transaction.commit().await.unwrap();
    let row = client.query_one("SELECT block_tag FROM token_transfers", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 0x0202_0202);
}

#[tokio::test]
async fn knows_every_hash_of_a_height_and_lets_one_be_canonical() {
    let (_database, store, _client) = database().await;
    store.position("EVM").await.unwrap();
    let mut rows = RowSet::default();
    rows.add_block(&block(1, 0xa), 100, false, 0).unwrap();
    rows.add_block(&block(1, 0xb), 200, true, 0).unwrap();
    rows.add_block(&block(2, 0xc), 300, true, 0).unwrap();
    let (transaction, known) = store.begin(step(0, 1), &[("test", 1)]).await.unwrap();
    assert!(known.is_empty());
    let body = rows.table(Table::Blocks).copy_body(|_| true).0;
    transaction.copy(Table::Blocks, body).await.unwrap();
    transaction.commit().await.unwrap();

    let (transaction, mut known) =
        store.begin(step(1, 2), &[("test", 1), ("other", 1), ("test", 9)]).await.unwrap();
    known.sort_by_key(|block| block.revision);
    let seen: Vec<(B256, bool, i64, i64)> = known
        .iter()
        .map(|block| (block.hash, block.canonical, block.revision, block.time_us))
        .collect();
    let time = 1_700_000_000_123_456;
    assert_eq!(
        seen,
        [(B256::repeat_byte(0xa), false, 100, time), (B256::repeat_byte(0xb), true, 200, time)]
    );
    // Making the other hash canonical without demoting this one is refused by the database itself.
    let error = transaction.update_block(&block(1, 0xa), 400, true).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict);
    drop(transaction);
}

#[tokio::test]
async fn a_value_that_the_database_refuses_is_a_row_error() {
    let (_database, store, _client) = database().await;
    let beyond = Event::from(Index { value: Decimal::zero(), ..Index::at("p", i64::MIN / 2, 1) });
    let error = write(&store, step(0, 1), &[beyond]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Row, "{error}");
}

#[tokio::test]
async fn no_text_makes_a_row_unstorable() {
    let (_database, store, client) = database().await;
    let events = [
        Event::from(Index {
            index: "mood".into(),
            classification: Some("calm\0down".into()),
            ..Index::at("p", 1, 1)
        }),
        Event::from(Erc721Transfer { watched: vec!["de\0sk".into()], ..Erc721Transfer::empty() }),
        Event::from(ContractEvent {
            fields: EventFields::from([("no\0te", "\\u0000 and \0".into())]),
            ..ContractEvent::empty()
        }),
        Event::from(Alert {
            title: "zero\0".into(),
            links: vec![Link { label: "\0".into(), url: "https://x/\0".into() }],
            ..Alert::empty()
        }),
    ];
    write(&store, step(0, 1), &events).await.unwrap();
    let texts = "SELECT (SELECT classification FROM indices), (SELECT watched[1] FROM token_transfers), \
                 (SELECT fields::text FROM events), (SELECT title || links::text FROM alerts)";
    let row = client.query_one(texts, &[]).await.unwrap();
    let told: Vec<&str> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(told[..2], ["calm\u{fffd}down", "de\u{fffd}sk"]);
    assert_eq!(told[2], "{\"no\u{fffd}te\": \"\\\\u0000 and \u{fffd}\"}");
    assert!(told[3].starts_with("zero\u{fffd}") && told[3].contains("https://x/\u{fffd}"));
}

#[tokio::test]
async fn a_live_block_is_stored_while_history_is_being_written() {
    let (_database, store, _client) = database().await;
    store.position("EVM").await.unwrap();
    store.position("HISTORY").await.unwrap();
    let history = Advance { stream: "HISTORY", from: StreamPosition::default(), to: at(1) };
    // The last height before the lock range of the head: as close as history can get without sharing its lock.
    let (writing, _) = store.begin(history, &[("test", 4_095)]).await.unwrap();
    let live = store.begin(step(0, 1), &[("test", 4_096), ("other", 1)]);
    let (transaction, _) = tokio::time::timeout(Duration::from_secs(20), live)
        .await
        .expect("live does not wait for history")
        .unwrap();
    transaction.commit().await.unwrap();
    // At the same heights it does: the second writer sees what the first one wrote.
    let second = store.clone();
    let waits = tokio::spawn(async move {
        let (transaction, known) = second.begin(step(1, 2), &[("test", 4_095)]).await.unwrap();
        transaction.commit().await.unwrap();
        known.len()
    });
    let mut rows = RowSet::default();
    rows.add_block(&block(4_095, 1), 1, true, 0).unwrap();
    let parts = [(Table::Blocks, rows.table(Table::Blocks))];
    writing.copy_all(&parts, |_| true).await.map_err(|(_, error)| error).unwrap();
    writing.commit().await.unwrap();
    assert_eq!(waits.await.unwrap(), 1);
}
