use crypto_intel_schemas::{B256, Event, U256};
use crypto_intel_store::{Advance, BlockTime, RowSet, StreamPosition, Table};

use crate::support::{block, database, transfer};

#[tokio::test]
async fn keys_of_stored_rows_are_those_of_their_events() {
    let (_database, store, client) = database().await;
    let mut rows = RowSet::default();
    for index in 0..5 {
        rows.add(&transfer(1, index, U256::from(index)), 0, index).unwrap();
    }
    rows.add_block(&block(1, 1), 1, true, 9).unwrap();
    // A row that comes from the marker is not an event.
    rows.add_block_gas(&block(1, 1), 0, 9).unwrap();
    let expected = rows.block_keys();
    assert_eq!(expected.len(), 5);

    let from = store.position("EVM").await.unwrap();
    let to = StreamPosition { sequence: 1, ..from };
    let advance = Advance { stream: "EVM", from, to };
    let (transaction, _) = store.begin(advance, &[]).await.unwrap();
    for table in [Table::TokenTransfers, Table::BlockGas, Table::Blocks] {
        transaction.copy(table, rows.table(table).copy_body(|_| true).0).await.unwrap();
    }
    transaction.commit().await.unwrap();

    let Event::Erc20Transfer(body) = transfer(1, 0, U256::ZERO) else { panic!("a transfer") };
    let asked = [BlockTime { number: 1, hash: body.block_hash, time_us: body.block_time_us }];
    assert_eq!(store.row_keys("test", &asked).await.unwrap(), expected);
    assert!(store.row_keys("other", &asked).await.unwrap().is_empty());
    client.execute("DELETE FROM token_transfers WHERE log_index = 3", &[]).await.unwrap();
    let stored = store.row_keys("test", &asked).await.unwrap();
    let missing: Vec<i32> = expected.difference(&stored).map(|key| key.index).collect();
    assert_eq!(missing, [3]);

    let blocks = store.canonical_blocks("test", 0, 10).await.unwrap();
    assert_eq!((blocks.len(), blocks[0].hash), (1, B256::repeat_byte(1)));
    assert_eq!(store.oldest_block("test", None).await.unwrap(), Some(1));
    assert_eq!(store.oldest_block("other", None).await.unwrap(), None);
    assert_eq!(store.oldest_block("test", Some(30)).await.unwrap(), None, "it is of 2023");
    let sql = "UPDATE blocks SET block_time = now() - interval '29 days'";
    client.execute(sql, &[]).await.unwrap();
    assert_eq!(store.oldest_block("test", Some(30)).await.unwrap(), Some(1));
    assert_eq!(store.oldest_block("test", Some(29)).await.unwrap(), None, "about to go");
}
