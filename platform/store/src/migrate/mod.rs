//! Brings a database to the tables of this version, by the numbered files of `/migrations`.

mod editions;
pub(crate) mod embedded;
pub(crate) mod report;
mod runner;

use refinery::Runner;

use self::{
    editions::made_by,
    embedded::sql_of,
    report::MigrationReport,
    runner::{applied, apply_missing, runner},
};
use crate::{
    error::StoreError,
    pool::{advisory_locks::MIGRATION_LOCK, edition::Edition, store::Store},
    tables::Table,
};

impl Store {
    /// Brings the tables to this version and grants the roles; does nothing where both are up to date. With `dry_run` it only
    /// reports what it would do. Policies are separate: [`policies::apply`](crate::policies::apply).
    ///
    /// # Errors
    /// When a migration fails, which rolls it back, or when a newer or a changed version migrated the database.
    pub async fn migrate(&self, dry_run: bool) -> Result<MigrationReport, StoreError> {
        let runner = runner()?;
        let mut client = self.client().await?;
        // A migration may take longer than any statement of the pipeline.
        client
            .batch_execute("SET statement_timeout = 0")
            .await
            .map_err(StoreError::sql("lift the statement timeout"))?;
        client
            .execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK])
            .await
            .map_err(StoreError::sql("wait for another migration"))?;
        let outcome = match refuse_encoding(&client).await {
            Ok(()) => run(&runner, &mut client, dry_run).await,
            Err(refused) => Err(refused),
        };
        let outcome = match outcome {
            Err(error) => Err(name_user(&client, error).await),
            done => done,
        };
        // Closing the connection releases the lock in every case.
        drop(deadpool_postgres::Object::take(client));
        let Outcome { already, applied, notes, to_come } = outcome?;
        let edition = match to_come {
            Some(version) => Edition::TimescaleToCome(version),
            None => self.edition().await?,
        };
        if !dry_run && !applied.is_empty() && self.schema().is_none() {
            log_edition(&edition);
        }
        let forms = applied.iter().flat_map(|name| made_by(name, sql_of(name), &edition)).collect();
        let policies = Vec::new();
        Ok(MigrationReport { edition, already, applied, forms, policies, notes, dry_run })
    }

    /// Names of the migrations of this version that the database lacks.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn missing_migrations(&self) -> Result<Vec<String>, StoreError> {
        let mut client = self.client().await?;
        let (_, missing) = apply_missing(&runner()?, &mut client, true).await?;
        Ok(missing)
    }

    /// Names of migrations in the database that this version does not know.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn unknown_migrations(&self) -> Result<Vec<String>, StoreError> {
        let runner = runner()?;
        let mut client = self.client().await?;
        let mut applied = applied(&runner, &mut client).await?;
        let known: Vec<String> = runner.get_migrations().iter().map(ToString::to_string).collect();
        applied.retain(|name| !known.contains(name));
        Ok(applied)
    }
}

/// Chains and providers send text in any script: with another encoding than UTF-8, a later migration or rows would fail.
async fn refuse_encoding(client: &tokio_postgres::Client) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_encoding'), current_database()::text";
    let row = client.query_one(sql, &[]).await.map_err(StoreError::sql("ask for the encoding"))?;
    let (encoding, database): (String, String) = (row.get(0), row.get(1));
    if encoding == "UTF8" {
        return Ok(());
    }
    let reason = format!(
        "database {database} has encoding {encoding}, it must be UTF8: CREATE DATABASE \"{database}\" ENCODING 'UTF8' TEMPLATE template0 (drop this one first, or take another name)"
    );
    Err(StoreError::Migration { reason })
}

/// Adds to a permission error which user was refused and which user may migrate.
async fn name_user(client: &tokio_postgres::Client, error: StoreError) -> StoreError {
    if !error.to_string().contains("(42501)") {
        return error;
    }
    let sql = "SELECT current_user::text, current_database()::text, \
               (SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database())";
    let Ok(row) = client.query_one(sql, &[]).await else { return error };
    let (user, database, owner): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let reason = match error {
        StoreError::Migration { reason } => reason,
        other => other.to_string(),
    };
    let reason = format!(
        "{reason}. This was as user {user}; migrate as the owner of the tables, usually that of database {database}: {owner}"
    );
    StoreError::Migration { reason }
}

struct Outcome {
    already: Vec<String>,
    applied: Vec<String>,
    notes: Vec<String>,
    /// Version of the extension that the first migration would create.
    to_come: Option<String>,
}

async fn run(
    runner: &Runner,
    client: &mut tokio_postgres::Client,
    dry_run: bool,
) -> Result<Outcome, StoreError> {
    let (already, applied) = apply_missing(runner, client, dry_run).await?;
    let (mut notes, mut to_come) = (Vec::new(), None);
    if !dry_run {
        notes = grant_roles(client).await?;
    } else if already.is_empty() {
        to_come = extension_to_come(client).await?;
    }
    Ok(Outcome { already, applied, notes, to_come })
}

/// Creates and grants the roles of writers and readers; returns notes on what this user may not do.
async fn grant_roles(client: &tokio_postgres::Client) -> Result<Vec<String>, StoreError> {
    let of_blocks = Table::OF_BLOCKS.map(Table::name);
    let rows = client
        .query("SELECT grant_roles($1::text[]::name[])", &[&of_blocks.as_slice()])
        .await
        .map_err(StoreError::sql("grant the roles"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Version of the extension that V1 would create.
async fn extension_to_come(client: &tokio_postgres::Client) -> Result<Option<String>, StoreError> {
    let row = client
        .query_opt(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb' \
             AND installed_version IS NULL \
             AND current_setting('shared_preload_libraries') LIKE '%timescaledb%'",
            &[],
        )
        .await
        .map_err(StoreError::sql("look for TimescaleDB"))?;
    Ok(row.map(|row| row.get(0)))
}

fn log_edition(edition: &Edition) {
    match edition {
        Edition::Plain => tracing::warn!(
            "no TimescaleDB here: tables are plain, without partitions and compression, and rollups are views"
        ),
        Edition::TimescaleApache(version) => tracing::info!(
            version,
            "TimescaleDB Apache edition: hypertables, but no compression, and rollups are views"
        ),
        Edition::TimescaleCommunity(version) => tracing::info!(
            version,
            "TimescaleDB community edition: hypertables, column store, continuous aggregates"
        ),
        // A dry run of the first migration; nothing was applied.
        Edition::TimescaleToCome(_) => {}
    }
}
