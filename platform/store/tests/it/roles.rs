use crypto_intel_store::{
    Table,
    policies::{self, StorageConfig},
};
use crypto_intel_testkit::sql_client;
use tokio_postgres::Client;

use crate::support::{database, store};

/// The SQLSTATE that a statement ends with.
async fn refusal(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => format!("{sql} was done"),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

/// Our tables and views.
async fn relations(client: &Client) -> Vec<String> {
    let rows = client
        .query(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
             AND relkind IN ('r', 'v') \
             AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_reader_reads_everything_and_writes_nothing() {
    let (database, _store, client) = database().await;
    let user = database.user_in("crypto_intel_reader").await.unwrap();
    let reader = sql_client(user.url()).await;
    let relations = relations(&client).await;
    assert!(relations.len() > 40, "{relations:?}");
    for name in &relations {
        reader.batch_execute(&format!("SELECT * FROM {name} LIMIT 1")).await.unwrap();
        for sql in [
            format!("DELETE FROM {name}"),
            format!("TRUNCATE {name}"),
            format!("INSERT INTO {name} SELECT * FROM {name}"),
            format!("COPY {name} FROM STDIN"),
            format!("DROP TABLE {name}"),
        ] {
            let code = refusal(&reader, &sql).await;
            // Some views refuse the statement as such, before privileges are checked.
            assert!(["42501", "55000", "42809", "0A000"].contains(&code.as_str()), "{sql}: {code}");
        }
    }
    for table in Table::ALL {
        let column = table.time_column();
        let code = refusal(&reader, &format!("UPDATE {table} SET {column} = now()")).await;
        assert_eq!(code, "42501", "{table}");
    }
    for sql in [
        "CREATE TABLE mine (x int)",
        "CREATE ROLE other",
        "SELECT drop_expired('logs', 1)",
        "SELECT make_rollup('x', 'logs', '1 hour', 'block_time', 'SELECT 1')",
        "SELECT * FROM grant_roles(ARRAY['logs'])",
        "SET ROLE crypto_intel_writer",
    ] {
        assert_eq!(refusal(&reader, sql).await, "42501", "{sql}");
    }
    for sql in [
        "SELECT * FROM top_movers()",
        "SELECT * FROM wallet_transfers(hex_bytes('0x01'), now() - interval '1 day')",
        "SELECT * FROM wallet_flow(hex_bytes('0x01'), now() - interval '1 day')",
        "SELECT * FROM wallets_seen(now() - interval '1 day')",
        "SELECT * FROM counterparties(hex_bytes('0x01'), now() - interval '1 day')",
        "SELECT * FROM largest_transfers(now() - interval '1 day')",
        "SELECT * FROM volume_against_baseline()",
        "SELECT hex_text('\\x01'), server_edition()",
    ] {
        reader.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

#[tokio::test]
async fn the_writer_cannot_change_what_it_wrote_but_for_blocks_that_leave() {
    let (database, _store, _client) = database().await;
    let user = database.user_in("crypto_intel_writer").await.unwrap();
    let writer = sql_client(user.url()).await;
    for table in Table::ALL {
        let may_delete = Table::OF_BLOCKS.contains(&table);
        let code = refusal(&writer, &format!("DELETE FROM {table}")).await;
        assert_eq!(code == "42501", !may_delete, "{table}: {code}");
        let column = table.time_column();
        let code = refusal(&writer, &format!("UPDATE {table} SET {column} = now()")).await;
        assert_eq!(code == "42501", table != Table::Blocks, "{table}: {code}");
        assert_eq!(refusal(&writer, &format!("TRUNCATE {table}")).await, "42501");
    }
    for sql in [
        "DELETE FROM positions",
        "DELETE FROM wallets",
        "CREATE TABLE mine (x int)",
        "UPDATE storage_retention SET keep = '0'",
        "DELETE FROM refinery_schema_history",
    ] {
        assert_eq!(refusal(&writer, sql).await, "42501", "{sql}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_create_roles_can_migrate_and_is_told() {
    let database = crate::server().await;
    let admin = sql_client(database.url()).await;
    // On TimescaleDB only an administrator may create the extension.
    let has_timescale = admin
        .query_one("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'", &[])
        .await
        .unwrap()
        .get::<_, i64>(0)
        > 0;
    if has_timescale {
        admin.batch_execute("CREATE EXTENSION IF NOT EXISTS timescaledb").await.unwrap();
    }
    for role in ["crypto_intel_writer", "crypto_intel_reader"] {
        let sql = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'");
        if admin.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            // A shared server has these roles, and the test must not drop them.
            return;
        }
    }
    admin
        .batch_execute("CREATE ROLE nobodies; GRANT CREATE, USAGE ON SCHEMA public TO nobodies")
        .await
        .unwrap();
    // The first migration reads which libraries the server preloads.
    admin.batch_execute("GRANT pg_read_all_settings TO nobodies").await.unwrap();
    let user = database.user_in("nobodies").await.unwrap();
    let owner = store(user.url()).await;
    let report = owner.migrate(false).await.unwrap();
    assert_eq!(report.notes.len(), 2, "{report}");
    assert!(report.to_string().contains("CREATE ROLE crypto_intel_writer"), "{report}");
    assert!(policies::apply(&owner, &StorageConfig::default(), false).await.is_ok());

    // An administrator creates the roles: the next migration grants their privileges.
    admin
        .batch_execute("CREATE ROLE crypto_intel_writer; CREATE ROLE crypto_intel_reader")
        .await
        .unwrap();
    assert_eq!(owner.migrate(false).await.unwrap().notes, Vec::<String>::new());
    let reader = database.user_in("crypto_intel_reader").await.unwrap();
    sql_client(reader.url()).await.batch_execute("SELECT * FROM candles_1m, logs").await.unwrap();
}

#[tokio::test]
async fn obstacles_to_writing_are_found_in_advance() {
    let (database, owner, client) = database().await;
    assert_eq!(owner.write_obstacles().await.unwrap(), [] as [&str; 0]);
    let writer = database.user_in("crypto_intel_writer").await.unwrap();
    let writing = store(writer.url()).await;
    assert_eq!(writing.write_obstacles().await.unwrap(), [] as [&str; 0]);
    client.batch_execute("REVOKE INSERT ON logs FROM crypto_intel_writer").await.unwrap();
    let told = writing.write_obstacles().await.unwrap().join(" ");
    assert!(told.contains("no INSERT on logs: give its user"), "{told}");

    let reader = database.user_in("crypto_intel_reader").await.unwrap();
    let told = store(reader.url()).await.write_obstacles().await.unwrap().join(" ");
    assert!(
        told.contains("DELETE on") && told.contains("UPDATE on blocks, label_sources"),
        "{told}"
    );

    let name = database.url().rsplit('/').next().unwrap();
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    client.batch_execute(&read_only).await.unwrap();
    let standby = store(database.url()).await;
    let told = standby.write_obstacles().await.unwrap().join(" ");
    assert!(told.contains("read-only") && told.contains("standby"), "{told}");
    let refused = standby.remove_position("EVM").await.unwrap_err();
    assert!(refused.hint().contains("primary"), "{refused}: {}", refused.hint());
}
