//! What has many rows costs no more than what is shown of it, also where the server plans without knowing its name.

use crypto_intel_schemas::Address;
use crypto_intel_store::{
    PageRequest, PairFilter, PoolFilter, Side, Store, Towards, TransferFilter,
};
use crypto_intel_testkit::eventually;
use tokio_postgres::Client;

use crate::{
    list_plans::{fill, lately, read_whole},
    support::database,
};

/// Of 20,000 rows, with 900 in an hour: the hour in which the newest end, and the one before.
const MAX_READ: i64 = 2_500;

/// Rows of a table that were read by indexes.
async fn read_by_index(client: &Client, table: &str) -> i64 {
    let sql = "SELECT sum(idx_tup_fetch)::bigint FROM pg_stat_user_tables WHERE relid = $1::text::regclass \
               OR relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::text::regclass)";
    client.query_one(sql, &[&table]).await.unwrap().get(0)
}

/// How many rows of a table a question reads by indexes.
async fn rows_read(
    url: &str,
    client: &Client,
    table: &str,
    question: impl AsyncFnOnce(&Store),
) -> i64 {
    client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
    let before = read_by_index(client, table).await;
    read_whole(url, client, question).await;
    eventually(async || {
        let read = read_by_index(client, table).await - before;
        (read > 0).then_some(read)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_of_a_busy_address_token_or_pool_is_what_is_read() {
    let (database, _store, client) = database().await;
    fill(&client).await;
    // As for an address that the server knows nothing of: with its name, it would plan better than it does after some questions.
    let sql = "SELECT format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database()), \
               substr(sha256('busy'), 1, 20)";
    let row = client.query_one(sql, &[]).await.unwrap();
    client.batch_execute(row.get(0)).await.unwrap();
    let busy = Address::try_from(row.get::<_, &[u8]>(1)).unwrap();
    let url = database.url();
    let of_address = TransferFilter { address: Some((busy, Side::Either)), ..lately() };
    let of_token = TransferFilter { token: Some(busy), ..lately() };
    for (what, filter) in [("an address", of_address), ("a token", of_token)] {
        let mut beside = None;
        for _ in 0..3 {
            let page = PageRequest { limit: 50, beside: beside.take() };
            let rows = rows_read(url, &client, "token_transfers", async |store| {
                let page = store.transfers(&filter, &page).await.unwrap();
                assert_eq!(page.rows.len(), 50);
                beside = page.rows.last().map(|row| (row.key.clone(), Towards::Older));
            })
            .await;
            assert!((50..MAX_READ).contains(&rows), "{what}: {rows} rows read for a page of 50");
        }
    }
    let TransferFilter { since_us, until_us, .. } = lately();
    let pairs = PairFilter { chains: None, verified: true, since_us, until_us, rows: 50 };
    let rows = rows_read(url, &client, "token_transfers", async |store| {
        assert_eq!(store.pairs_of(&[busy], &pairs).await.unwrap().cut, [busy]);
    })
    .await;
    assert!((50..MAX_READ).contains(&rows), "{rows} rows read for pairs of 50 transfers");
    let rows = rows_read(url, &client, "token_transfers", async |store| {
        assert_eq!(store.token_seen(busy, since_us).await.unwrap().len(), 2);
    })
    .await;
    // It looks through 2,000.
    assert!((2_000..3 * MAX_READ).contains(&rows), "{rows} rows read for what a token is");
    let pool = PoolFilter { chain: "base".into(), pool: busy.to_vec(), since_us, until_us };
    let rows = rows_read(url, &client, "swaps", async |store| {
        let page = PageRequest { limit: 50, beside: None };
        assert_eq!(store.swaps_of(&pool, &page).await.unwrap().rows.len(), 50);
    })
    .await;
    assert!((50..MAX_READ).contains(&rows), "{rows} rows read for 50 swaps");
}
