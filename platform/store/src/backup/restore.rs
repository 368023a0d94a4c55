use std::path::Path;

use deadpool_postgres::Object;
use serde::Serialize;
use tokio_postgres::Client;

use super::{
    dump_contents::DumpContents,
    error::BackupError,
    facts::DatabaseFacts,
    grants::grant,
    programs::{PgProgram, database_name},
    restore_plan::RestorePlan,
};
use crate::{
    error::StoreError,
    pool::{config::StoreConfig, store::Store},
};

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DatabaseRestored {
    /// Statements that granted or revoked rights.
    pub grants: u64,
    /// Statements that were left out because they name roles which the server does not have.
    pub grants_left_out: u64,
}

/// Fills an empty database from a dump, after [`plan_restore`](super::plan_restore) found no obstacle. Positions and the list
/// of migrations come last: no program uses the tables before, so an interrupted restore is never mistaken for a complete
/// one. `step` gets the name of each step.
///
/// # Errors
/// When the database or `pg_restore` fails. What was restored by then stays.
pub async fn restore(
    store: &Store,
    config: &StoreConfig,
    program: &PgProgram,
    file: &Path,
    (facts, plan): (&DatabaseFacts, &RestorePlan),
    step: &(dyn Fn(&str) + Send + Sync),
) -> Result<DatabaseRestored, BackupError> {
    let contents = DumpContents::read(program, file).await?;
    // Settings and session authorization belong to a connection: it is not returned to the pool.
    let client = Object::take(store.client().await?);
    execute(&client, "lift the statement timeout", "SET statement_timeout = 0").await?;
    if let Some(timescale) = &facts.timescaledb {
        step("TimescaleDB's extension");
        let create =
            format!("CREATE EXTENSION IF NOT EXISTS timescaledb VERSION '{}'", timescale.version);
        execute(&client, "create TimescaleDB's extension", &create).await?;
        execute(&client, "prepare TimescaleDB", "SELECT timescaledb_pre_restore()").await?;
    }
    let parts =
        [("tables, rows and indexes", contents.main_list()), ("positions", contents.last_list())];
    for (what, list) in parts {
        step(what);
        restore_part(config, program, file, plan, &list).await?;
    }
    if facts.timescaledb.is_some() {
        execute(&client, "finish TimescaleDB", "SELECT timescaledb_post_restore()").await?;
    }
    step("grants");
    let list = contents.grant_list();
    let (grants, grants_left_out) = grant(&client, program, file, &list).await?;
    step("statistics");
    execute(&client, "become this user again", "RESET SESSION AUTHORIZATION").await?;
    execute(&client, "gather statistics", "ANALYZE").await?;
    Ok(DatabaseRestored { grants, grants_left_out })
}

async fn restore_part(
    config: &StoreConfig,
    program: &PgProgram,
    file: &Path,
    plan: &RestorePlan,
    list: &str,
) -> Result<(), BackupError> {
    let mut command = program.command_to(config)?;
    // The list comes from standard input, because the disk may be read-only.
    command.arg("--no-privileges").arg("--use-list=/dev/stdin");
    if !plan.keeps_owners {
        command.arg("--no-owner");
    }
    if !plan.program_is_newer {
        command.arg("--exit-on-error");
    }
    command.arg("--dbname").arg(database_name(config)?).arg(file);
    let output = program.output(&mut command, list).await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || plan.program_is_newer && are_harmless(&errors) {
        return Ok(());
    }
    Err(program.failure(&output))
}

/// Whether all errors are about settings that an older server does not know: a newer `pg_restore` sets some for its own
/// session, such as `transaction_timeout` of PostgreSQL 17.
fn are_harmless(output: &str) -> bool {
    let mut errors = output.lines().filter(|line| line.contains("error:"));
    errors.all(|line| line.contains("unrecognized configuration parameter"))
}

async fn execute(client: &Client, doing: &'static str, sql: &str) -> Result<(), StoreError> {
    client.batch_execute(sql).await.map_err(StoreError::sql(doing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unknown_settings_are_harmless() {
        let setting = "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter \"transaction_timeout\"\n\
            Command was: SET transaction_timeout = 0;\npg_restore: warning: errors ignored on restore: 1\n";
        assert!(are_harmless(setting));
        let other =
            format!("{setting}pg_restore: error: could not execute query: ERROR:  out of memory\n");
        assert!(!are_harmless(&other));
    }
}
