use crypto_intel_sandbox::Postgres;
use crypto_intel_store::{Edition, Store, StoreError, Table};
use tokio_util::sync::CancellationToken;

use crate::support::{config, database};

#[tokio::test]
async fn apply_once_and_are_harmless_twice() {
    let database = Postgres::test_database().await.unwrap();
    let store = Store::connect(&config(database.url()), &CancellationToken::new()).await.unwrap();
    let planned = store.migrate(true).await.unwrap();
    assert!(planned.dry_run && planned.applied.len() >= 5 && planned.already.is_empty());
    assert!(store.position("EVM").await.unwrap_err().needs_migration(), "nothing was done");

    let first = store.migrate(false).await.unwrap();
    assert_eq!(first.applied, planned.applied);
    let second = store.migrate(false).await.unwrap();
    assert_eq!((second.applied.len(), second.already), (0, first.applied));
    assert!(store.missing_migrations().await.unwrap().is_empty());
    assert_eq!(store.table_counts().await.unwrap().len(), Table::ALL.len());
}

#[tokio::test]
async fn two_at_once_do_not_disturb_each_other() {
    let database = Postgres::test_database().await.unwrap();
    let store = Store::connect(&config(database.url()), &CancellationToken::new()).await.unwrap();
    let (one, other) = tokio::join!(store.migrate(false), store.migrate(false));
    let applied = [one.unwrap().applied.len(), other.unwrap().applied.len()];
    assert!(applied.contains(&0) && applied.iter().sum::<usize>() >= 5, "{applied:?}");
}

#[tokio::test]
async fn a_newer_database_is_refused_with_its_reason() {
    let (_database, store, client) = database().await;
    client
        .execute(
            "INSERT INTO refinery_schema_history VALUES (99, 'future', '2030-01-01T00:00:00Z', '1')",
            &[],
        )
        .await
        .unwrap();
    let error = store.migrate(false).await.unwrap_err();
    assert!(matches!(error, StoreError::Migration { .. }), "{error}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[tokio::test]
async fn every_table_and_column_that_could_be_asked_about_has_a_place() {
    let (_database, store, client) = database().await;
    let uncommented: i64 = client
        .query_one(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \
             AND relname <> 'refinery_schema_history' AND obj_description(oid) IS NULL",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(uncommented, 0, "every table says what it is");
    let hypertables = match store.edition().await.unwrap() {
        Edition::Plain => return,
        _ => client
            .query("SELECT hypertable_name::text FROM timescaledb_information.hypertables", &[]),
    };
    let names: Vec<String> = hypertables.await.unwrap().iter().map(|row| row.get(0)).collect();
    for table in [Table::TokenTransfers, Table::NativeTransfers, Table::Logs, Table::MarketTicks] {
        assert!(names.iter().any(|name| name == table.name()), "{table} in {names:?}");
    }
}
