use crypto_intel_schemas::{Address, Event, NativeTransfer, Uint256};
use crypto_intel_store::{StorageConfig, Table};

use crate::support::{database, rows, step, store, write};

/// A second set of tables beside the live ones, as a rebuild makes it.
#[tokio::test]
async fn a_second_set_of_tables_stands_on_its_own() {
    let (database, live, client) = database().await;
    // Its own history of migrations, or that of the live ones is found behind it.
    client
        .batch_execute(
            "CREATE SCHEMA rebuilt; \
             CREATE TABLE rebuilt.refinery_schema_history (LIKE public.refinery_schema_history INCLUDING ALL)",
        )
        .await
        .unwrap();
    let separator = if database.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}options=-c%20search_path%3Drebuilt,public", database.url());
    let second = store(&url).await;
    let made = second.migrate(false).await.unwrap();
    assert!(made.already.is_empty(), "the live ones are not its own: {made}");
    let names = |schema: &str| {
        format!(
            "SELECT relkind, relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace \
             AND relkind IN ('r', 'v') \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') \
             ORDER BY relname"
        )
    };
    assert_eq!(rows(&client, &names("rebuilt")).await, rows(&client, &names("public")).await);

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

    // What asks and what drops is bound to its own tables, whoever calls it by whatever path and name.
    let mut config = StorageConfig::default();
    config.retention_days.transfers = 30;
    second.apply_policies(&config, false).await.unwrap();
    assert!(live.expiring_tables().await.unwrap().is_empty());
    client.batch_execute("ALTER SCHEMA rebuilt RENAME TO exchanged").await.unwrap();
    let flow = "SELECT value_in FROM exchanged.wallet_flow(hex_bytes('0x0101010101010101010101010101010101010101'), \
         '2023-01-01', '2024-01-01')";
    assert_eq!(rows(&client, flow).await, ["7"]);
    assert!(rows(&client, &flow.replace("exchanged.", "")).await.is_empty());
    let edition = live.edition().await.unwrap();
    if !matches!(edition, crypto_intel_store::Edition::TimescaleCommunity(_)) {
        let dropped = "SELECT exchanged.drop_expired('exchanged.native_transfers', 10)";
        assert_eq!(rows(&client, dropped).await, ["1"]);
    }
}
