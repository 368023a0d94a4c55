//! Applies the migrations with refinery and translates its errors.

use refinery::{Migration, Runner, error::Kind};
use tokio_postgres::error::SqlState;

use super::embedded::MIGRATIONS;
use crate::{
    error::{StoreError, describe},
    pool::extension,
};

/// Applies what is missing, or nothing in a dry run; returns the names of migrations applied before and of missing ones.
pub(super) async fn apply_missing(
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

pub(super) async fn applied(
    runner: &Runner,
    client: &mut tokio_postgres::Client,
) -> Result<Vec<String>, StoreError> {
    match runner.get_applied_migrations_async(client).await {
        Ok(migrations) => Ok(migrations.iter().map(ToString::to_string).collect()),
        Err(error) if code(&error) == Some(SqlState::UNDEFINED_TABLE) => Ok(Vec::new()),
        Err(error) => Err(explain(error)),
    }
}

pub(super) fn runner() -> Result<Runner, StoreError> {
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

// By value, so that it fits `map_err`.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crypto_intel_sandbox::Postgres;
    use refinery::Target;
    use tokio_postgres::NoTls;

    use super::*;

    #[tokio::test]
    async fn rows_of_an_earlier_form_are_refused_with_the_command_that_moves_them() {
        let database = Postgres::test_database().await.unwrap();
        let (mut client, connection) =
            tokio_postgres::connect(database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let earlier = runner().unwrap().set_target(Target::Version(18));
        earlier.run_async(&mut client).await.unwrap();
        let row = "INSERT INTO block_gas (block_time, block_number, chain_id, transactions, chain, block_hash, gas_used, \
                   gas_limit) VALUES (now(), 1, 1, 0, 'a', sha256(''), 1, 1)";
        client.batch_execute(row).await.unwrap();
        let refused =
            apply_missing(&runner().unwrap(), &mut client, false).await.unwrap_err().to_string();
        assert!(refused.contains("table block_gas has rows"), "{refused}");
        assert!(refused.contains("crypto-intel replay --into-schema next --swap"), "{refused}");
        let kept = client.query("SELECT block_hash FROM block_gas", &[]).await.unwrap();
        assert_eq!(kept.len(), 1, "nothing was changed");
        client.batch_execute("DELETE FROM block_gas").await.unwrap();
        apply_missing(&runner().unwrap(), &mut client, false).await.unwrap();
        let lean = client.query("SELECT block_tag FROM block_gas", &[]).await.unwrap();
        assert_eq!(lean.len(), 0);
    }
}
