//! Every way in which the database fails a writer, provoked on a real server: how the error is classified, and that the
//! store's only connection works again afterwards.

use crypto_intel_sandbox::TestDatabase;
use crypto_intel_schemas::U256;
use crypto_intel_store::{
    Advance, BatchTransaction, ErrorClass, RowSet, Store, StoreConfig, StoreError, StreamPosition,
    Table,
};
use crypto_intel_testkit::{eventually, try_sql_client};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::support::{block, config, database, transfer};

/// A store with one connection, which shows whether a failed one is handed out again.
async fn store_with(database: &TestDatabase, options: &str) -> Store {
    let url = format!("{}?options={}", database.url(), options.replace(' ', "%20"));
    store_at(&url).await
}

async fn store_at(url: &str) -> Store {
    let config = StoreConfig { pool_size: 1, ..config(url) };
    Store::connect(&config, &CancellationToken::new()).await.unwrap()
}

async fn client(database: &TestDatabase) -> Client {
    eventually(async || try_sql_client(database.url()).await).await
}

fn rows(log_index: u32) -> bytes::Bytes {
    let mut rows = RowSet::default();
    rows.add(&transfer(1, log_index, U256::from(1)), 0, 0).unwrap();
    rows.table(Table::TokenTransfers).copy_body(|_| true).0
}

async fn begin(store: &Store) -> Result<BatchTransaction, StoreError> {
    let from = store.position("EVM").await?;
    let to = StreamPosition { sequence: from.sequence + 1, stored_at_us: 1, revision: 0 };
    store.begin(Advance { stream: "EVM", from, to }, &[]).await.map(|(transaction, _)| transaction)
}

async fn write(store: &Store, log_index: u32) -> Result<(), StoreError> {
    let transaction = begin(store).await?;
    transaction.copy(Table::TokenTransfers, rows(log_index)).await?;
    transaction.commit().await
}

/// Waits until a session of the store waits for this event.
async fn until_waiting(client: &Client, wait_event_type: &str, wait_event: &str) -> i32 {
    eventually(async || {
        let found = client
            .query_opt(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'crypto-intel' \
                 AND datname = current_database() AND wait_event_type = $1 AND wait_event = $2",
                &[&wait_event_type, &wait_event],
            )
            .await;
        found.unwrap().map(|row| row.get(0))
    })
    .await
}

#[tokio::test]
async fn a_read_only_database_is_transient() {
    let (database, _, _) = database().await;
    let store = store_with(&database, "-c default_transaction_read_only=on").await;
    let error = write(&store, 1).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(error.to_string().contains("25006"), "{error}");
    let error = store.try_rows(Table::TokenTransfers, rows(1)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_standby_is_retried_until_the_timeout() {
    let (database, _, client) = database().await;
    let name: String =
        client.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    client.batch_execute(&read_only).await.unwrap();
    let url = format!("{}?target_session_attrs=read-write", database.url());
    let config = StoreConfig { start_timeout_seconds: 1, ..config(&url) };
    let error = Store::connect(&config, &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("does not allow writes"), "{error}");
}

#[tokio::test]
async fn missing_rights_and_tables_are_process_errors() {
    let (database, _, client) = database().await;
    let role = format!("writer_{}", crypto_intel_sandbox::free_port().unwrap());
    client
        .batch_execute(&format!(
            "CREATE ROLE {role} LOGIN; GRANT SELECT, INSERT, UPDATE ON positions TO {role}; \
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .await
        .unwrap();
    let store = store_at(&database.url().replacen("postgres@", &format!("{role}@"), 1)).await;
    // Refused before the server is in COPY mode: such a connection is broken although it looks healthy.
    let error = write(&store, 1).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Process, "{error}");
    assert!(error.to_string().contains("42501"), "{error}");
    client.batch_execute(&format!("GRANT INSERT ON token_transfers TO {role}")).await.unwrap();
    write(&store, 1).await.unwrap();

    client.batch_execute("ALTER TABLE token_transfers RENAME TO away").await.unwrap();
    let error = write(&store, 2).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Process, "{error}");
    assert!(error.needs_migration(), "{error}");
    client.batch_execute("ALTER TABLE away RENAME TO token_transfers").await.unwrap();
    write(&store, 2).await.unwrap();
    client.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test]
async fn locks_and_timeouts_are_transient() {
    let (database, _, mut client) = database().await;
    for (options, code) in [("-c lock_timeout=200ms", "55P03"), ("-c lock_timeout=0", "57014")] {
        let url = format!("{}?options={}", database.url(), options.replace(' ', "%20"));
        let config = StoreConfig { pool_size: 1, statement_timeout_ms: 1_000, ..config(&url) };
        let store = Store::connect(&config, &CancellationToken::new()).await.unwrap();
        let locking = client.transaction().await.unwrap();
        locking.batch_execute("LOCK TABLE token_transfers IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let error = write(&store, 3).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{error}");
        assert!(error.to_string().contains(code), "{error}");
        locking.rollback().await.unwrap();
        let transaction = begin(&store).await.unwrap();
        transaction.copy(Table::TokenTransfers, rows(3)).await.unwrap();
    }
}

#[tokio::test]
async fn a_deadlock_is_transient() {
    let (database, _, mut client) = database().await;
    let store = store_with(&database, "-c deadlock_timeout=100ms").await;
    let known = block(1, 7);
    let mut rows = RowSet::default();
    rows.add_block(&known, 1, true, 0).unwrap();
    let transaction = begin(&store).await.unwrap();
    transaction.copy(Table::Blocks, rows.table(Table::Blocks).copy_body(|_| true).0).await.unwrap();
    transaction.commit().await.unwrap();
    // The other session holds the block and wants the position, ours holds the position and wants the block.
    let other = client.transaction().await.unwrap();
    other.batch_execute("UPDATE blocks SET canonical = canonical").await.unwrap();
    let transaction = begin(&store).await.unwrap();
    let watcher = self::client(&database).await;
    let hash = known.block_hash;
    let wanting = other.batch_execute("UPDATE positions SET revision = revision");
    let demoting = async move {
        eventually(async || {
            let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                           AND datname = current_database()";
            watcher.query_opt(waiting, &[]).await.unwrap()
        })
        .await;
        let demoted = transaction.demote_blocks(&[("test", 1, hash)]).await;
        drop(transaction);
        demoted
    };
    let (wanted, demoted) = tokio::join!(wanting, demoting);
    wanted.unwrap();
    let error = demoted.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(error.to_string().contains("40P01"), "{error}");
    other.rollback().await.unwrap();
    write(&store, 4).await.unwrap();
}

#[tokio::test]
async fn too_many_connections_are_transient() {
    let (database, _, client) = database().await;
    let role = format!("limited_{}", crypto_intel_sandbox::free_port().unwrap());
    client.batch_execute(&format!("CREATE ROLE {role} LOGIN")).await.unwrap();
    let store = store_at(&database.url().replacen("postgres@", &format!("{role}@"), 1)).await;
    client
        .batch_execute(&format!(
            "ALTER ROLE {role} CONNECTION LIMIT 0; \
             SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{role}'"
        ))
        .await
        .unwrap();
    let error = eventually(async || {
        store.probe().await.err().filter(|error| error.to_string().contains("53300"))
    })
    .await;
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    client.batch_execute(&format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await.unwrap();
    store.probe().await.unwrap();
    client.batch_execute(&format!("REASSIGN OWNED BY {role} TO postgres")).await.unwrap();
}

/// A trigger that makes rows wait in the middle of their COPY.
const SLOW: &str = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$; \
    CREATE TRIGGER wait BEFORE INSERT ON token_transfers FOR EACH ROW EXECUTE FUNCTION wait()";

#[tokio::test]
async fn a_terminated_session_is_transient() {
    let (database, _, client) = database().await;
    let store = store_with(&database, "-c search_path=public").await;
    client.batch_execute(SLOW).await.unwrap();
    let copying = tokio::spawn({
        let store = store.clone();
        async move { write(&store, 5).await }
    });
    let pid = until_waiting(&client, "Timeout", "PgSleep").await;
    client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let error = copying.await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");

    client.batch_execute("DROP TRIGGER wait ON token_transfers").await.unwrap();
    let lock = "BEGIN; LOCK TABLE positions IN ACCESS EXCLUSIVE MODE";
    client.batch_execute(lock).await.unwrap();
    let beginning = tokio::spawn({
        let store = store.clone();
        async move { begin(&store).await.map(drop) }
    });
    let watcher = self::client(&database).await;
    let pid = until_waiting(&watcher, "Lock", "relation").await;
    watcher.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let error = beginning.await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    client.batch_execute("ROLLBACK").await.unwrap();
    // The pool may not know yet that its connection is gone.
    eventually(async || write(&store, 5).await).await;
}

#[tokio::test]
async fn a_server_crash_is_transient() {
    let (mut database, _, client) = database().await;
    let store = store_with(&database, "-c search_path=public").await;
    client.batch_execute(SLOW).await.unwrap();
    // Only a private server can be killed.
    if database.server().is_none() {
        return;
    }
    let copying = tokio::spawn({
        let store = store.clone();
        async move { write(&store, 6).await }
    });
    until_waiting(&client, "Timeout", "PgSleep").await;
    let server = database.server().unwrap();
    server.kill().unwrap();
    let error = copying.await.unwrap().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    let error = store.probe().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "nothing listens: {error}");
    server.start_again().await.unwrap();
    let client = self::client(&database).await;
    client.batch_execute("DROP TRIGGER wait ON token_transfers").await.unwrap();
    write(&store, 6).await.unwrap();
}

#[tokio::test]
async fn an_idle_transaction_that_the_server_ended_is_transient() {
    let (database, _, client) = database().await;
    let store = store_with(&database, "-c idle_in_transaction_session_timeout=100").await;
    let transaction = begin(&store).await.unwrap();
    eventually(async || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND application_name = 'crypto-intel' AND state = 'idle in transaction'";
        client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    let error = transaction.copy(Table::TokenTransfers, rows(7)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    drop(transaction);
    write(&store, 7).await.unwrap();
}

#[tokio::test]
async fn a_refusal_by_a_trigger_or_constraint_is_a_row_error() {
    let (database, _, client) = database().await;
    let store = store_with(&database, "-c search_path=public").await;
    client
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON token_transfers FOR EACH ROW \
             EXECUTE FUNCTION refuse()",
        )
        .await
        .unwrap();
    let error = write(&store, 8).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Row, "{error}");
    assert!(error.to_string().contains("not this one"), "{error}");
    client
        .batch_execute(
            "DROP TRIGGER refuse ON token_transfers; \
             ALTER TABLE token_transfers ADD CONSTRAINT few CHECK (log_index < 8)",
        )
        .await
        .unwrap();
    let error = write(&store, 8).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Row, "{error}");
    write(&store, 7).await.unwrap();
}

#[tokio::test]
async fn a_transaction_given_up_in_the_middle_leaves_no_row() {
    let (database, _, client) = database().await;
    let store = store_with(&database, "-c search_path=public").await;
    let transaction = begin(&store).await.unwrap();
    transaction.copy(Table::TokenTransfers, rows(9)).await.unwrap();
    drop(transaction);
    write(&store, 10).await.unwrap();
    let count = client.query_one("SELECT count(*) FROM token_transfers", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1);
}
