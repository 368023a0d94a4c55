use crypto_intel_schemas::{B256, Block, BlockRef, Event, Jump, NodeStatus, Reorg, Uint256};
use crypto_intel_store::{RowSet, Table};

use crate::support::{block, database, dropped, step, write};

fn hash(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

#[tokio::test]
async fn the_gas_of_a_block_comes_from_its_marker_and_goes_with_it() {
    let (_database, store, client) = database().await;
    let marker = Block {
        transactions: 5,
        gas_used: 14_852_631,
        gas_limit: u64::MAX,
        base_fee_per_gas: Some(Uint256::from(11_307_526_041)),
        ..block(1, 1)
    };
    let mut rows = RowSet::default();
    rows.add_block_gas(&marker, 0, 0).unwrap();
    rows.add_block_gas(&block(2, 2), 1, 1).unwrap();
    rows.sort_and_reduce();
    store.position("EVM").await.unwrap();
    let (transaction, _) = store.begin(step(0, 1), &[]).await.unwrap();
    let body = rows.table(Table::BlockGas).copy_body(|_| true).0;
    assert_eq!(transaction.copy(Table::BlockGas, body).await.unwrap(), 2);
    transaction.commit().await.unwrap();
    let gas = client
        .query(
            "SELECT transactions, gas_used::text, gas_limit::text, base_fee_per_gas::text \
             FROM block_gas ORDER BY block_number",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(gas[0].get::<_, i32>(0), 5);
    assert_eq!(gas[0].get::<_, &str>(1), "14852631");
    assert_eq!(gas[0].get::<_, &str>(2), u64::MAX.to_string());
    assert_eq!(gas[0].get::<_, Option<&str>>(3), Some("11307526041"));
    assert_eq!(gas[1].get::<_, Option<&str>>(3), None, "before London there is none");

    let (transaction, _) = store.begin(step(1, 2), &[]).await.unwrap();
    let dropped = [dropped(1, 1, marker.block_time_us)];
    assert_eq!(transaction.delete_rows(&dropped).await.unwrap(), 1);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn reorgs_and_the_state_of_endpoints_become_rows() {
    let (_database, store, client) = database().await;
    let reorg = |incarnation, dropped: &[u8]| {
        let dropped = dropped.iter().map(|byte| BlockRef { number: 9, hash: hash(*byte) });
        Event::from(Reorg {
            chain: "test".into(),
            block_hash: hash(1),
            incarnation,
            depth: 2,
            ancestor: BlockRef { number: 7, hash: hash(7) },
            dropped: dropped.collect(),
            ..Reorg::empty()
        })
    };
    let status = Event::from(NodeStatus {
        chain: "test".into(),
        endpoint: "node.example".into(),
        instance: "one".into(),
        head: Some(12),
        error_percent: 3,
        serving: true,
        error: Some("closed".into()),
        ..NodeStatus::empty()
    });
    let jump = Event::from(Jump {
        chain: "test".into(),
        block_hash: hash(3),
        from_number: 20,
        to_number: 29,
        ..Jump::empty()
    });
    let events = [reorg(1, &[9, 8]), reorg(3, &[]), jump, status];
    write(&store, step(0, 1), &events).await.unwrap();
    let rows = client
        .query("SELECT depth, dropped, ancestor_number FROM reorgs ORDER BY incarnation", &[])
        .await
        .unwrap();
    let dropped: Vec<Vec<Vec<u8>>> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(dropped, [vec![vec![9; 32], vec![8; 32]], vec![]]);
    assert_eq!((rows[0].get::<_, i32>(0), rows[0].get::<_, i64>(2)), (2, 7));
    let row = client.query_one("SELECT from_number, to_number FROM jumps", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (20, 29));
    let row = client
        .query_one("SELECT head, lag_blocks, error_percent, serving, error FROM node_status", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, Option<i64>>(0), row.get::<_, Option<i64>>(1)), (Some(12), None));
    assert_eq!((row.get::<_, i32>(2), row.get::<_, bool>(3)), (3, true));
    assert_eq!(row.get::<_, &str>(4), "closed");
}
