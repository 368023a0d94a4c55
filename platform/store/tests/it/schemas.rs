use crypto_intel_schemas::{Address, Event, NativeTransfer, Uint256};
use crypto_intel_store::{
    Edition, SchemaName, Store, StoreError, Table,
    policies::{self, StorageConfig},
    rebuild::{SchemaState, Swap, create_schema, swap_obstacles},
};
use tokio_util::sync::CancellationToken;

use crate::support::{config, database, rows, step, write};

async fn second_set(url: &str) -> (SchemaName, Store) {
    let schema: SchemaName = "second".parse().unwrap();
    let store =
        Store::connect_to_schema(&config(url), &schema, &CancellationToken::new()).await.unwrap();
    (schema, store)
}

#[tokio::test]
async fn a_second_set_of_tables_is_made_beside_the_first() {
    let (database, live, client) = database().await;
    let (schema, store) = second_set(database.url()).await;
    assert_eq!(SchemaState::read(&live, "second").await.unwrap(), SchemaState::Empty);
    // A missing table is an error, never the live one.
    assert!(store.position("EVM").await.unwrap_err().needs_migration());
    create_schema(&store, "whose it is").await.unwrap();
    assert!(!store.migrate(false).await.unwrap().applied.is_empty());
    let tables =
        |comment: &str, is_filled| SchemaState::Tables { comment: comment.into(), is_filled };
    assert_eq!(SchemaState::read(&live, "second").await.unwrap(), tables("whose it is", false));
    client.execute("UPDATE positions SET sequence = 5 WHERE false", &[]).await.unwrap();
    store.position("EVM").await.unwrap();
    let there: i64 = client
        .query_one(
            "SELECT (SELECT count(*) FROM second.positions) - (SELECT count(*) FROM positions)",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(there, 1);
    assert_eq!(swap_obstacles(&live, &schema).await.unwrap(), [] as [&str; 0]);
    let same = "SELECT count(*) FROM pg_class WHERE relnamespace = 'second'::regnamespace AND relkind = 'i'";
    let (new, old): (i64, i64) = (
        client.query_one(same, &[]).await.unwrap().get(0),
        client.query_one(&same.replace("second", "public"), &[]).await.unwrap().get(0),
    );
    assert_eq!(new, old, "the same indexes");
    if live.edition().await.unwrap() != Edition::Plain {
        let partitioned =
            "SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_schema = ";
        let count = async |schema: &str| -> i64 {
            client.query_one(&format!("{partitioned}'{schema}'"), &[]).await.unwrap().get(0)
        };
        assert_eq!(count("second").await, count("public").await);
    }
    client.batch_execute("CREATE SCHEMA other; CREATE TABLE other.x ()").await.unwrap();
    assert_eq!(SchemaState::read(&live, "other").await.unwrap(), SchemaState::Other);
}

#[tokio::test]
async fn a_swap_that_is_given_up_changes_nothing() {
    let (database, live, client) = database().await;
    let (schema, store) = second_set(database.url()).await;
    create_schema(&store, "").await.unwrap();
    store.migrate(false).await.unwrap();
    let swap = Swap::begin(&live, &schema).await.unwrap();
    client.batch_execute("SET lock_timeout = '100ms'").await.unwrap();
    let write =
        "INSERT INTO positions (stream, sequence, stored_at_us, revision) VALUES ('X', 1, 1, 1)";
    let error = client.execute(write, &[]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "55P03", "writers wait");
    client.query("SELECT count(*) FROM positions", &[]).await.expect("readers do not");
    // Another swap or migration waits as well.
    let second = Swap::begin(&live, &schema);
    let waits = tokio::time::timeout(std::time::Duration::from_millis(300), second).await;
    assert!(waits.is_err());
    drop(swap);
    client.batch_execute("SET lock_timeout = '10s'").await.unwrap();
    client.execute(write, &[]).await.unwrap();
    let before: Option<String> = client
        .query_one("SELECT to_regnamespace('second_before')::text", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(before, None);
    let error = Swap::begin(&live, &"absent".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refusal { .. }), "{error}");
}

/// A second set of tables beside the live ones, as a rebuild creates it.
#[tokio::test]
async fn a_second_set_of_tables_stands_on_its_own() {
    let (database, live, client) = database().await;
    let (_, second) = second_set(database.url()).await;
    create_schema(&second, "").await.unwrap();
    let made = second.migrate(false).await.unwrap();
    assert!(made.already.is_empty(), "live migrations do not count: {made}");
    let names = |schema: &str| {
        format!(
            "SELECT relkind, relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace \
             AND relkind IN ('r', 'v') \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') \
             ORDER BY relname"
        )
    };
    assert_eq!(rows(&client, &names("second")).await, rows(&client, &names("public")).await);

    let paid = Event::from(NativeTransfer {
        chain: "test".into(),
        block_time_us: 1_700_000_000_000_000,
        to: Address::repeat_byte(1),
        value: Uint256::from(7),
        ..NativeTransfer::empty()
    });
    write(&second, step(0, 1), &[paid]).await.unwrap();
    let of = |counts: Vec<(String, u64)>| {
        counts.into_iter().find(|(name, _)| name == Table::NativeTransfers.name()).unwrap().1
    };
    assert_eq!(of(second.table_counts().await.unwrap()), 1);
    assert_eq!(of(live.table_counts().await.unwrap()), 0);

    // Functions that read or drop are bound to their own tables, whatever the caller's search path.
    let mut config = StorageConfig::default();
    config.retention_days.transfers = 30;
    policies::apply(&second, &config, false).await.unwrap();
    assert!(policies::expiring_tables(&live).await.unwrap().is_empty());
    client.batch_execute("ALTER SCHEMA second RENAME TO exchanged").await.unwrap();
    let flow = "SELECT value_in FROM exchanged.wallet_flow(hex_bytes('0x0101010101010101010101010101010101010101'), \
         '2023-01-01', '2024-01-01')";
    assert_eq!(rows(&client, flow).await, ["7"]);
    assert!(rows(&client, &flow.replace("exchanged.", "")).await.is_empty());
    let edition = live.edition().await.unwrap();
    if !matches!(edition, Edition::TimescaleCommunity(_)) {
        let dropped = "SELECT exchanged.drop_expired('exchanged.native_transfers', 10)";
        assert_eq!(rows(&client, dropped).await, ["1"]);
    }
}
