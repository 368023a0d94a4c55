use std::path::Path;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Client;

use super::{
    dump_contents::DumpContents,
    error::BackupError,
    facts::DatabaseFacts,
    programs::{PgProgram, PgVersion},
};
use crate::{
    error::StoreError,
    pool::{config::StoreConfig, store::Store},
};

const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Writes the whole database into `file` as one consistent snapshot while other sessions keep writing, and checks that the
/// file has every table. `progress` gets the size of the file. `config` is that of the store.
///
/// # Errors
/// When `pg_dump` is missing, older than the server or fails, or when the file lacks a table.
pub async fn dump(
    store: &Store,
    config: &StoreConfig,
    program: &PgProgram,
    file: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<(DatabaseFacts, PgVersion), BackupError> {
    // Not returned to the pool: closing the connection ends its transaction in every case.
    let client = Object::take(store.client().await?);
    let snapshot = export_snapshot(&client).await?;
    let facts = DatabaseFacts::read(&client).await?;
    let version = program.at_least(facts.postgresql_major, "the server").await?;

    let mut command = program.command_to(config)?;
    command.arg("--format=custom").arg(format!("--snapshot={snapshot}")).arg("--file").arg(file);
    let dumping = program.run(&mut command);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    tokio::pin!(dumping);
    loop {
        tokio::select! {
            done = &mut dumping => {
                done?;
                break;
            }
            _ = ticks.tick() => progress(size(file)),
        }
    }
    drop(client);
    progress(size(file));
    sync(file).await?;
    let missing = DumpContents::read(&program.restore_beside(), file).await?.missing(&facts.tables);
    if missing.is_empty() {
        Ok((facts, version))
    } else {
        Err(BackupError::Incomplete { path: file.to_owned(), missing })
    }
}

/// Begins a transaction and exports its snapshot.
async fn export_snapshot(client: &Client) -> Result<String, StoreError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; \
                 SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
    client.batch_execute(begin).await.map_err(StoreError::sql("begin the backup"))?;
    let row = client.query_one("SELECT pg_export_snapshot()", &[]).await;
    Ok(row.map_err(StoreError::sql("export the backup's snapshot"))?.get(0))
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

async fn sync(path: &Path) -> Result<(), BackupError> {
    let file = tokio::fs::File::open(path).await.map_err(BackupError::file(path))?;
    file.sync_all().await.map_err(BackupError::file(path))
}
