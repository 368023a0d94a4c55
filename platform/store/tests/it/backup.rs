use std::path::{Path, PathBuf};

use crypto_intel_sandbox::TestDatabase;
use crypto_intel_schemas::{Event, U256};
use crypto_intel_store::{
    Advance, Store, StreamPosition,
    backup::{
        BackupError, DatabaseFacts, PgProgram, RestorePlan, TimescaleFacts, dump, plan_restore,
        restore,
    },
};
use crypto_intel_testkit::{TestProcess, eventually, sql_client};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::support::{self, config, database, transfer};

const NO_PROGRESS: &(dyn Fn(u64) + Send + Sync) = &|_| {};
const NO_STEPS: &(dyn Fn(&str) + Send + Sync) = &|_| {};

struct Dump {
    folder: tempfile::TempDir,
    facts: DatabaseFacts,
    major: u32,
}

impl Dump {
    async fn of(database: &TestDatabase, store: &Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        crate::postgres_tools().write_clients(folder.path()).unwrap();
        let file = folder.path().join("database.dump");
        let config = config(database.url());
        let program = PgProgram::dump(Some(&folder.path().join("pg_dump")));
        let (facts, version) = dump(store, &config, &program, &file, NO_PROGRESS).await.unwrap();
        Self { folder, facts, major: version.major }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("database.dump")
    }

    fn pg_restore(&self) -> PgProgram {
        PgProgram::restore(Some(&self.folder.path().join("pg_restore")))
    }

    async fn plan(&self, store: &Store) -> RestorePlan {
        let program = self.pg_restore();
        plan_restore(store, &program, &self.file(), &self.facts, self.major).await.unwrap()
    }

    async fn restore(&self, url: &str, store: &Store) -> u64 {
        let plan = self.plan(store).await;
        assert_eq!(plan.obstacles, Vec::<String>::new());
        let program = self.pg_restore();
        let (config, file) = (config(url), self.file());
        let facts = (&self.facts, &plan);
        let done = restore(store, &config, &program, &file, facts, NO_STEPS).await.unwrap();
        done.grants_left_out
    }
}

/// Writes events and moves the position, as persist does.
async fn write(store: &Store, to: u64, events: &[Event]) {
    let from = store.position("EVM").await.unwrap();
    let to = StreamPosition { sequence: to, stored_at_us: to as i64 * 10, revision: 0 };
    support::write(store, Advance { stream: "EVM", from, to }, events).await.unwrap();
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Whether all databases are on one shared server, with one set of roles, whose client programs we do not have.
fn is_shared() -> bool {
    let shared = std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty());
    if shared {
        eprintln!("skipped: backups are tried on servers of our own, not on that of DATABASE_URL");
    }
    shared
}

/// Another server, with an empty database.
async fn other_server() -> (TestDatabase, String, Store) {
    let database = crate::server().await;
    let url = database.url().to_owned();
    let store = Store::connect(&config(&url), &CancellationToken::new()).await.unwrap();
    (database, url, store)
}

const ROWS: &str = "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM token_transfers t";
const GRANTS: &str = "SELECT coalesce(string_agg(grantee || ' ' || privilege_type || ' ' || table_name, ', ' \
    ORDER BY 1), '') FROM (SELECT grantee, privilege_type, table_name FROM information_schema.role_table_grants \
    WHERE table_schema = 'public' AND grantee LIKE 'backup_%') AS granted";

#[tokio::test]
async fn rows_positions_and_grants_come_back_on_another_server() {
    if is_shared() {
        return;
    }
    let (database, store, client) = database().await;
    let events: Vec<Event> =
        (0..500).map(|index| transfer(7, index, U256::from(index) << 90)).collect();
    write(&store, 500, &events).await;
    client
        .batch_execute(
            "CREATE ROLE backup_reader; CREATE ROLE backup_gone; \
             GRANT SELECT ON blocks, v_blocks TO backup_reader, backup_gone; GRANT SELECT ON logs TO backup_gone",
        )
        .await
        .unwrap();
    let dump = Dump::of(&database, &store).await;
    assert_eq!(dump.facts.positions[0].sequence, 500);
    assert_eq!(dump.facts.migrations.len(), store.migrate(true).await.unwrap().already.len());
    assert_eq!(
        dump.facts.grantees,
        ["backup_gone", "backup_reader", "crypto_intel_reader", "crypto_intel_writer", "postgres"]
    );

    let (_server, url, other) = other_server().await;
    let restored = sql_client(&url).await;
    restored.batch_execute("CREATE ROLE backup_reader").await.unwrap();
    let plan = dump.plan(&other).await;
    assert_eq!(plan.obstacles, Vec::<String>::new());
    assert!(plan.keeps_owners);
    assert!(plan.warnings[0].starts_with("role backup_gone is not on this server"), "{plan:?}");
    assert!(dump.restore(&url, &other).await > 0);

    assert_eq!(text(&client, ROWS).await, text(&restored, ROWS).await);
    assert_eq!(other.positions().await.unwrap(), store.positions().await.unwrap());
    let expected = "backup_reader SELECT blocks, backup_reader SELECT v_blocks";
    assert_eq!(text(&restored, GRANTS).await, expected);
    assert_eq!(other.migrate(false).await.unwrap().applied, Vec::<String>::new());
    if dump.facts.timescaledb.is_some() {
        for what in ["hypertables", "chunks"] {
            let sql = format!("SELECT count(*)::text FROM timescaledb_information.{what}");
            assert_eq!(text(&client, &sql).await, text(&restored, &sql).await, "{what}");
        }
    }
    // Writing continues as if nothing had happened.
    write(&other, 501, &[transfer(8, 1, U256::from(1))]).await;
}

#[tokio::test]
async fn a_dump_is_of_one_moment_while_others_write() {
    if is_shared() {
        return;
    }
    let (database, store, _client) = database().await;
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        for number in 1.. {
            write(&writer, number, &[transfer(7, number as u32, U256::from(1))]).await;
        }
    });
    while store.position("EVM").await.unwrap().sequence < 20 {
        tokio::task::yield_now().await;
    }
    let dump = Dump::of(&database, &store).await;
    writing.abort();
    let (_server, url, other) = other_server().await;
    dump.restore(&url, &other).await;
    let position = other.position("EVM").await.unwrap().sequence;
    assert_eq!(position, dump.facts.positions[0].sequence);
    let rows = text(&sql_client(&url).await, "SELECT count(*)::text FROM token_transfers").await;
    assert_eq!(rows, position.to_string());
}

#[tokio::test]
async fn a_database_with_our_tables_is_in_the_way() {
    if is_shared() {
        return;
    }
    let (database, store, _client) = database().await;
    let dump = Dump::of(&database, &store).await;
    let plan = dump.plan(&store).await;
    assert_eq!(plan.obstacles.len(), 1, "{plan:?}");
    assert!(
        plan.obstacles[0].contains("has token_transfers, native_transfers, approvals"),
        "{plan:?}"
    );
    assert!(plan.obstacles[0].contains("DROP DATABASE"), "{plan:?}");
}

#[tokio::test]
async fn obstacles_are_found_before_anything_is_written() {
    if is_shared() {
        return;
    }
    let (database, store, _client) = database().await;
    let mut dump = Dump::of(&database, &store).await;
    let (_server, url, other) = other_server().await;
    dump.facts.postgresql_major = 99;
    dump.facts.timescaledb = Some(TimescaleFacts {
        version: "2.28.3".to_owned(),
        license: "timescale".to_owned(),
        needs_community: true,
    });
    dump.facts.owners = vec!["backup_owner".to_owned()];
    let plan = dump.plan(&other).await;
    assert!(plan.obstacles[0].starts_with("the dump is of PostgreSQL 99"), "{plan:?}");
    assert!(plan.obstacles[1].starts_with("the dump is of TimescaleDB 2.28.3"), "{plan:?}");
    assert!(plan.warnings[0].contains("CREATE ROLE \"backup_owner\""), "{plan:?}");
    assert!(!plan.keeps_owners);
    let tables = "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(text(&sql_client(&url).await, tables).await, "0");
}

#[tokio::test]
async fn a_missing_or_old_program_is_named_with_what_to_do() {
    let (database, store, _client) = database().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("database.dump");
    let config = config(database.url());
    let missing = PgProgram::dump(Some(Path::new("/nowhere/pg_dump")));
    let error = dump(&store, &config, &missing, &file, NO_PROGRESS).await.unwrap_err();
    assert!(matches!(error, BackupError::NoProgram { .. }), "{error}");
    assert!(error.to_string().contains("--pg-dump PROGRAM"), "{error}");

    let old = script(folder.path(), "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'");
    let error = dump(&store, &config, &PgProgram::dump(Some(&old)), &file, NO_PROGRESS).await;
    assert!(matches!(error, Err(BackupError::ProgramTooOld { found: 9, .. })), "{error:?}");
}

// pg_dump reports success, but the dump is incomplete.
#[tokio::test]
async fn a_dump_that_lacks_a_table_is_incomplete() {
    if is_shared() {
        return;
    }
    let (database, store, _client) = database().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("database.dump");
    crate::postgres_tools().write_clients(folder.path()).unwrap();
    std::fs::rename(folder.path().join("pg_dump"), folder.path().join("real_pg_dump")).unwrap();
    let body = format!(
        "[ \"$1\" = --version ] || set -- --exclude-table=logs \"$@\"\nexec '{}/real_pg_dump' \"$@\"",
        folder.path().display()
    );
    let program = script(folder.path(), "pg_dump", &body);
    let program = PgProgram::dump(Some(&program));
    let error = dump(&store, &config(database.url()), &program, &file, NO_PROGRESS).await;
    let Err(BackupError::Incomplete { missing, .. }) = error else { panic!("{error:?}") };
    assert_eq!(missing, ["public.logs"]);
}

fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const PROGRAM: &str = "CRYPTO_INTEL_TEST_PROGRAM";

#[test]
#[ignore = "the process that starts a program of PostgreSQL and is killed"]
fn starts_a_program() {
    let Ok(program) = std::env::var(PROGRAM) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _never = runtime.block_on(PgProgram::restore(Some(Path::new(&program))).version());
}

#[test]
fn a_program_ends_with_the_process_that_started_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (program, told) = (folder.path().join("pg_restore"), folder.path().join("pid"));
    let script =
        format!("#!/bin/sh\necho $$ > {0}.new && mv {0}.new {0}\nexec sleep 600\n", told.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let environment = [(PROGRAM, program.to_str().unwrap())];
    let mut starter = TestProcess::start("backup::starts_a_program", &environment);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pid = eventually(async || std::fs::read_to_string(&told)).await;
        let status = PathBuf::from(format!("/proc/{}/status", pid.trim()));
        assert!(status.exists());
        starter.kill();
        // No process reaps it any more: at most a zombie is left.
        eventually(async || {
            std::fs::read_to_string(&status).map_or(true, |text| text.contains("State:\tZ"))
        })
        .await;
    });
}

#[tokio::test]
async fn obstacles_are_named_in_familiar_terms() {
    let (database, store, client) = database().await;
    let dump = Dump::of(&database, &store).await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let told = dump.plan(&store).await.obstacles.join("\n");
    assert!(told.contains(&format!("database {name} has ")), "{told}");
    assert!(told.contains("token_transfers, ") && !told.contains("_timescaledb"), "{told}");
    assert!(told.contains("WITH (FORCE)"), "{told}");
    // An earlier restore that is still running.
    client.batch_execute("SET application_name = 'crypto-intel-backup'").await.unwrap();
    let told = dump.plan(&store).await.obstacles.join("\n");
    assert!(
        told.contains("another backup or restore is running") && told.contains("since 20"),
        "{told}"
    );
}
