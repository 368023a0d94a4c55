use crypto_intel_schemas::{Address, B256, Erc20Transfer, Event, U256, Uint256};
use crypto_intel_store::{ErrorClass, RowSet, Store, StoreError, Table};
use tokio_postgres::Client;

use crate::support::{database, dropped, rows, step, write};

/// 2026-01-05 00:00 UTC: older than any policy's age.
const START_US: i64 = 1_767_571_200_000_000;
const BLOCKS: u8 = 50;

fn time_us(block: u8) -> i64 {
    START_US + i64::from(block) * 12_000_000
}

fn transfer(block: u8, log_index: u32) -> Event {
    Event::from(Erc20Transfer {
        chain: "test".into(),
        block_number: block.into(),
        block_hash: B256::repeat_byte(block),
        block_time_us: time_us(block),
        log_index,
        address: Address::repeat_byte(9),
        value: Uint256(U256::MAX),
        ..Erc20Transfer::empty()
    })
}

/// Writes rows of one day and compresses that day's chunk.
async fn compressed(store: &Store, client: &Client) {
    let events: Vec<Event> =
        (0..BLOCKS).flat_map(|block| (0..20).map(move |index| transfer(block, index))).collect();
    write(store, step(0, 1), &events).await.unwrap();
    let chunks =
        rows(client, "SELECT compress_chunk(c) FROM show_chunks('token_transfers') c").await;
    assert_eq!(chunks.len(), 1, "{chunks:?}");
    let kept = "SELECT is_compressed FROM timescaledb_information.chunks WHERE hypertable_name = 'token_transfers'";
    assert_eq!(rows(client, kept).await, ["t"]);
}

async fn count(client: &Client) -> i64 {
    let row = client.query_one("SELECT count(*) FROM token_transfers", &[]).await.unwrap();
    row.get(0)
}

async fn merge(store: &Store, sequence: u64, events: &[Event]) -> Result<u64, StoreError> {
    let mut rows = RowSet::default();
    for event in events {
        rows.add(event, 0, 0).unwrap();
    }
    rows.sort_and_reduce();
    let (transaction, _) = store.begin(step(sequence, sequence + 1), &[]).await?;
    let body = rows.table(Table::TokenTransfers).copy_body(|_| true).0;
    let new = transaction.merge(Table::TokenTransfers, body).await?;
    transaction.commit().await?;
    Ok(new)
}

#[tokio::test]
async fn every_partitioned_table_can_be_kept_by_column() {
    let (_database, _store, client) = database().await;
    let sql =
        "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE compression_enabled";
    let names = rows(&client, sql).await;
    for table in Table::ALL {
        let named = names.iter().any(|name| name == table.name());
        assert_eq!(named, table.is_partitioned(), "{table} in {names:?}");
    }
}

#[tokio::test]
async fn late_rows_enter_a_compressed_chunk_once() {
    let (_database, store, client) = database().await;
    compressed(&store, &client).await;
    // By direct COPY, which persist tries first.
    write(&store, step(1, 2), &[transfer(7, 100)]).await.unwrap();
    assert_eq!(count(&client).await, 1_001);
    let error = write(&store, step(2, 3), &[transfer(7, 3)]).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Conflict, "{error}");
    // Then through a staging table, because some rows exist.
    let some: Vec<Event> = (10..110).map(|index| transfer(9, index)).collect();
    assert_eq!(merge(&store, 2, &some).await.unwrap(), 90);
    assert_eq!(merge(&store, 3, &some).await.unwrap(), 0);
    assert_eq!(count(&client).await, 1_091);
}

#[tokio::test]
async fn deleting_a_block_from_a_compressed_chunk_keeps_its_neighbours() {
    let (_database, store, client) = database().await;
    compressed(&store, &client).await;
    let (transaction, _) = store.begin(step(1, 2), &[]).await.unwrap();
    let gone = [20, 21].map(|block| dropped(u64::from(block), block, time_us(block)));
    assert_eq!(transaction.delete_rows(&gone).await.unwrap(), 40);
    transaction.commit().await.unwrap();
    assert_eq!(count(&client).await, 960);
    let left = "SELECT count(DISTINCT block_tag) FROM token_transfers";
    assert_eq!(rows(&client, left).await, ["48"]);
    // And the block comes back.
    let again: Vec<Event> = (0..20).map(|index| transfer(20, index)).collect();
    write(&store, step(2, 3), &again).await.unwrap();
    assert_eq!(count(&client).await, 980);
}

#[tokio::test]
async fn compression_is_worth_it_and_changes_no_row() {
    let (_database, store, client) = database().await;
    let events: Vec<Event> =
        (0..BLOCKS).flat_map(|block| (0..20).map(move |index| transfer(block, index))).collect();
    write(&store, step(0, 1), &events).await.unwrap();
    let sum = "SELECT count(*), sum(value), min(log_index), max(block_number), count(DISTINCT block_tag) FROM token_transfers";
    let before = rows(&client, sum).await;
    rows(&client, "SELECT compress_chunk(c) FROM show_chunks('token_transfers') c").await;
    assert_eq!(rows(&client, sum).await, before);
    let ratio = "SELECT before_compression_total_bytes > 2 * after_compression_total_bytes \
         FROM hypertable_compression_stats('token_transfers')";
    assert_eq!(rows(&client, ratio).await, ["t"]);
}
