use std::path::Path;

use deadpool_postgres::Object;
use serde::Serialize;
use tokio_postgres::Client;

use super::contents::Contents;
use super::grants::grant;
use super::programs::database_name;
use super::{BackupError, DatabaseFacts, PgProgram, RestorePlan};
use crate::{Store, StoreConfig, StoreError};

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DatabaseRestored {
    /// Statements that gave or took rights.
    pub grants: u64,
    /// Such statements that named roles which are not on the server.
    pub grants_left_out: u64,
}

impl Store {
    /// Fills this empty database from a dump, as [`plan_restore`](Self::plan_restore) found that it can. Positions and the
    /// list of migrations come last: until then the tables are of use to nobody, so a restore that was cut off is not
    /// taken for a whole one. `step` is told what is being done.
    ///
    /// # Errors
    /// When the database or `pg_restore` fails. What was made until then stays.
    pub async fn restore(
        &self,
        config: &StoreConfig,
        program: &PgProgram,
        file: &Path,
        (facts, plan): (&DatabaseFacts, &RestorePlan),
        step: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<DatabaseRestored, BackupError> {
        let contents = Contents::read(program, file).await?;
        // Hooks and rights are those of a session; it ends here.
        let client = Object::take(self.client().await?);
        execute(&client, "lift the statement timeout", "SET statement_timeout = 0").await?;
        if let Some(timescale) = &facts.timescaledb {
            step("TimescaleDB's extension");
            let create = format!(
                "CREATE EXTENSION IF NOT EXISTS timescaledb VERSION '{}'",
                timescale.version
            );
            execute(&client, "make TimescaleDB's extension", &create).await?;
            execute(&client, "prepare TimescaleDB", "SELECT timescaledb_pre_restore()").await?;
        }
        let parts = [
            ("tables, rows and indexes", contents.main_list()),
            ("positions", contents.last_list()),
        ];
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
        execute(&client, "be this user again", "RESET SESSION AUTHORIZATION").await?;
        execute(&client, "gather statistics", "ANALYZE").await?;
        Ok(DatabaseRestored { grants, grants_left_out })
    }
}

async fn restore_part(
    config: &StoreConfig,
    program: &PgProgram,
    file: &Path,
    plan: &RestorePlan,
    list: &str,
) -> Result<(), BackupError> {
    let mut command = program.command_to(config)?;
    // Nothing is written for it: where this runs the disk may be read-only.
    command.arg("--no-privileges").arg("--use-list=/dev/stdin");
    if !plan.keeps_owners {
        command.arg("--no-owner");
    }
    if !plan.program_is_newer {
        command.arg("--exit-on-error");
    }
    command.arg("--dbname").arg(database_name(config)?).arg(file);
    let output = program.output(&mut command, list).await?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || plan.program_is_newer && are_harmless(&words) {
        return Ok(());
    }
    Err(program.failure(&output))
}

/// Whether a newer `pg_restore` met nothing but settings that an older server does not know: it sets them for itself,
/// such as `transaction_timeout`, which PostgreSQL 17 brought.
fn are_harmless(words: &str) -> bool {
    let mut errors = words.lines().filter(|line| line.contains("error:"));
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
