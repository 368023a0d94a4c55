use std::fmt;

use refinery::{Migration, Runner, error::Kind};
use tokio_postgres::error::SqlState;

use crate::{
    Edition, PolicyChange, Store, StoreError, Table, error::describe, extension, forms::made_by,
};

/// The files of `migrations/`, in order.
pub(crate) const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__foundation", include_str!("../../../migrations/V1__foundation.sql")),
    ("V2__chain_tables", include_str!("../../../migrations/V2__chain_tables.sql")),
    ("V3__market_tables", include_str!("../../../migrations/V3__market_tables.sql")),
    ("V4__alerting_tables", include_str!("../../../migrations/V4__alerting_tables.sql")),
    ("V5__text_views", include_str!("../../../migrations/V5__text_views.sql")),
    ("V6__dex_and_event_tables", include_str!("../../../migrations/V6__dex_and_event_tables.sql")),
    ("V7__market_ticks", include_str!("../../../migrations/V7__market_ticks.sql")),
    ("V8__chain_state", include_str!("../../../migrations/V8__chain_state.sql")),
    ("V9__wallets", include_str!("../../../migrations/V9__wallets.sql")),
    ("V10__server_forms", include_str!("../../../migrations/V10__server_forms.sql")),
    ("V11__rollups", include_str!("../../../migrations/V11__rollups.sql")),
    ("V12__retention", include_str!("../../../migrations/V12__retention.sql")),
    ("V13__summaries", include_str!("../../../migrations/V13__summaries.sql")),
    ("V14__comments", include_str!("../../../migrations/V14__comments.sql")),
    ("V15__roles", include_str!("../../../migrations/V15__roles.sql")),
    ("V16__jumps", include_str!("../../../migrations/V16__jumps.sql")),
    ("V17__wallets_seen", include_str!("../../../migrations/V17__wallets_seen.sql")),
];

/// Any number: who migrates holds it, because refinery takes no lock and two starting processes would race.
pub(crate) const MIGRATION_LOCK: i64 = 0x6372_7970_746f;

/// What was or would be done.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MigrationReport {
    /// What the server offers.
    pub edition: Edition,
    /// Migrations that were in force before.
    pub already: Vec<String>,
    /// Migrations that were applied now, or would be in a dry run.
    pub applied: Vec<String>,
    /// What these make, and in which form on this server.
    pub forms: Vec<String>,
    /// Policies that were changed now, or would be in a dry run.
    pub policies: Vec<PolicyChange>,
    /// What could not be done, and how to mend it.
    pub notes: Vec<String>,
    /// Whether nothing was done.
    pub dry_run: bool,
}

impl MigrationReport {
    /// How many migrations a dry run found to be applied; 0 after a real run.
    #[must_use]
    pub fn pending(&self) -> usize {
        if self.dry_run { self.applied.len() } else { 0 }
    }
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}, {} migrations in force before", self.edition, self.already.len())?;
        let (apply, make, set) = match self.dry_run {
            true => ("would apply", "would make", "would set"),
            false => ("applied", "made", "set"),
        };
        for migration in &self.applied {
            writeln!(formatter, "{apply} {migration}")?;
        }
        for form in &self.forms {
            writeln!(formatter, "{make} {form}")?;
        }
        for policy in &self.policies {
            writeln!(formatter, "{set} {policy}")?;
        }
        for note in &self.notes {
            writeln!(formatter, "note: {note}")?;
        }
        if self.applied.is_empty() && self.policies.is_empty() {
            writeln!(formatter, "nothing to do")?;
        }
        Ok(())
    }
}

impl Store {
    /// Brings the tables to this version and grants the roles; harmless when they are there. With `dry_run` only says
    /// what would be done. Policies are a matter of their own: [`apply_policies`](Self::apply_policies).
    ///
    /// # Errors
    /// When a migration fails (nothing of it stays), or when the database was migrated by a newer or a changed version.
    pub async fn migrate(&self, dry_run: bool) -> Result<MigrationReport, StoreError> {
        let runner = runner()?;
        let mut client = self.client().await?;
        // Migrations may take longer than any statement of the pipeline.
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
        // The lock goes with the connection, whatever happened on it.
        drop(deadpool_postgres::Object::take(client));
        let Outcome { already, applied, notes, to_come } = outcome?;
        let edition = match to_come {
            Some(version) => Edition::TimescaleToCome(version),
            None => self.edition().await?,
        };
        if !dry_run && !applied.is_empty() && self.schema().is_none() {
            log_edition(&edition);
        }
        let forms = applied.iter().flat_map(|name| made_by(name, &edition)).collect();
        let policies = Vec::new();
        Ok(MigrationReport { edition, already, applied, forms, policies, notes, dry_run })
    }

    /// Names of the migrations that this version needs and the database lacks.
    ///
    /// # Errors
    /// As [`migrate`](Self::migrate).
    pub async fn missing_migrations(&self) -> Result<Vec<String>, StoreError> {
        let mut client = self.client().await?;
        let (_, missing) = migrate(&runner()?, &mut client, true).await?;
        Ok(missing)
    }

    /// Names of migrations that the database has and this version does not know.
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

/// Text of chains and providers is of all the world: in another encoding a later migration and then rows would fail.
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

/// A refusal for want of rights, with who was refused and who may.
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
        "{reason}. This was as user {user}; migrate as the owner of the tables, mostly that of database {database}: {owner}"
    );
    StoreError::Migration { reason }
}

struct Outcome {
    already: Vec<String>,
    applied: Vec<String>,
    notes: Vec<String>,
    /// Version of the extension that the first migration would make.
    to_come: Option<String>,
}

async fn run(
    runner: &Runner,
    client: &mut tokio_postgres::Client,
    dry_run: bool,
) -> Result<Outcome, StoreError> {
    let (already, applied) = migrate(runner, client, dry_run).await?;
    let (mut notes, mut to_come) = (Vec::new(), None);
    if !dry_run {
        notes = grant_roles(client).await?;
    } else if already.is_empty() {
        to_come = extension_to_come(client).await?;
    }
    Ok(Outcome { already, applied, notes, to_come })
}

/// Makes and grants the roles of writers and readers; returns what this user was not allowed to do.
async fn grant_roles(client: &tokio_postgres::Client) -> Result<Vec<String>, StoreError> {
    let of_blocks = Table::OF_BLOCKS.map(Table::name);
    let rows = client
        .query("SELECT grant_roles($1::text[]::name[])", &[&of_blocks.as_slice()])
        .await
        .map_err(StoreError::sql("grant the roles"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The same question as in V1.
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

async fn migrate(
    runner: &Runner,
    client: &mut tokio_postgres::Client,
    dry_run: bool,
) -> Result<(Vec<String>, Vec<String>), StoreError> {
    let already = applied(runner, client).await?;
    if !dry_run {
        client
            .batch_execute(&extension::add_to_path(false))
            .await
            .map_err(StoreError::sql("find the extension's functions"))?;
        runner.run_async(client).await.map_err(explain)?;
    }
    let pending = runner
        .get_migrations()
        .iter()
        .map(ToString::to_string)
        .filter(|name| !already.contains(name))
        .collect();
    Ok((already, pending))
}

async fn applied(
    runner: &Runner,
    client: &mut tokio_postgres::Client,
) -> Result<Vec<String>, StoreError> {
    match runner.get_applied_migrations_async(client).await {
        Ok(migrations) => Ok(migrations.iter().map(ToString::to_string).collect()),
        Err(error) if code(&error) == Some(SqlState::UNDEFINED_TABLE) => Ok(Vec::new()),
        Err(error) => Err(explain(error)),
    }
}

fn runner() -> Result<Runner, StoreError> {
    let migrations: Result<Vec<Migration>, refinery::Error> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    Ok(Runner::new(&migrations.map_err(explain)?))
}

fn cause(error: &refinery::Error) -> Option<&tokio_postgres::Error> {
    match error.kind() {
        Kind::Connection(_, cause) => cause.downcast_ref(),
        _ => None,
    }
}

fn code(error: &refinery::Error) -> Option<SqlState> {
    cause(error)?.code().cloned()
}

// refinery's own pattern: its error is taken by value where it is mapped.
#[allow(clippy::needless_pass_by_value)]
fn explain(error: refinery::Error) -> StoreError {
    let reason = match (error.kind(), cause(&error)) {
        (Kind::Connection(what, _), Some(cause))
            if cause.code() == Some(&SqlState::DUPLICATE_TABLE) =>
        {
            format!(
                "{what}: {}: something else has that name here; use a database of its own for crypto-intel",
                describe(cause)
            )
        }
        (Kind::Connection(what, _), Some(cause)) => format!("{what}: {}", describe(cause)),
        (Kind::MissingVersion(migration), _) => {
            format!(
                "the database has {migration}, which this version does not know: use the newer version"
            )
        }
        (Kind::DivergentVersion(applied, _), _) => {
            format!(
                "{applied} was applied with another text: use the version that applied it, or a new database"
            )
        }
        (other, _) => other.to_string(),
    };
    StoreError::Migration { reason }
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
        // Only before anything was done.
        Edition::TimescaleToCome(_) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut embedded: Vec<&str> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(files, embedded);
    }
}
