//! What not every machine has.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use crypto_intel_sandbox::{Anvil, AnvilOptions, Postgres, TestDatabase};
use tokio_postgres::NoTls;

/// Something that a test needs and a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Recorded data, in the folder that `CRYPTO_INTEL_DATA` names.
    Data,
    /// anvil, from npm.
    Anvil,
    /// The TimescaleDB extension.
    Timescale,
    /// Python 3 with msgpack and nats-py.
    Python,
}

impl Need {
    /// The name in `CRYPTO_INTEL_REQUIRE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Anvil => "anvil",
            Self::Timescale => "timescale",
            Self::Python => "python",
        }
    }

    fn is_required(self) -> bool {
        let required = std::env::var("CRYPTO_INTEL_REQUIRE").unwrap_or_default();
        is_named(&required, self.name())
    }
}

fn is_named(list: &str, name: &str) -> bool {
    list.split([',', ' ']).any(|named| named == name || named == "all")
}

/// Passes on what was found. What was not is `None` with a message (the test returns), or, when required, a failure.
///
/// # Panics
/// When it is missing and `CRYPTO_INTEL_REQUIRE` names it.
#[track_caller]
pub fn available<T>(need: Need, found: anyhow::Result<T>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) if need.is_required() => {
            panic!("CRYPTO_INTEL_REQUIRE names {}, but: {error:#}", need.name())
        }
        Err(error) => {
            skipped(need, &error);
            None
        }
    }
}

// The test runner shows standard error of a test.
#[allow(clippy::print_stderr)]
fn skipped(need: Need, error: &anyhow::Error) {
    eprintln!("skipped, needs {}: {error:#}", need.name());
}

/// The folder of recorded data.
///
/// # Panics
/// As [`available`].
#[track_caller]
pub fn recorded_data() -> Option<PathBuf> {
    let folder = std::env::var_os("CRYPTO_INTEL_DATA").map(PathBuf::from);
    let found = folder.context("CRYPTO_INTEL_DATA is not set").and_then(|folder| {
        if folder.is_dir() {
            Ok(folder)
        } else {
            bail!("CRYPTO_INTEL_DATA is no folder: {}", folder.display())
        }
    });
    available(Need::Data, found)
}

/// A running anvil.
///
/// # Panics
/// As [`available`].
pub async fn anvil(options: AnvilOptions) -> Option<Anvil> {
    available(Need::Anvil, Anvil::start(options).await)
}

/// A fresh database on a server that has TimescaleDB; the extension is not yet created in it.
///
/// # Panics
/// As [`available`].
pub async fn timescale() -> Option<TestDatabase> {
    available(Need::Timescale, database_with_timescale().await)
}

async fn database_with_timescale() -> anyhow::Result<TestDatabase> {
    let database = Postgres::test_database().await?;
    let (client, connection) =
        tokio_postgres::connect(database.url(), NoTls).await.context("connect to database")?;
    let driver = tokio::spawn(connection);
    let sql = "select 1 from pg_available_extensions where name = 'timescaledb'";
    let rows = client.query(sql, &[]).await.context("look for the extension")?;
    drop(client);
    let _ = driver.await;
    if rows.is_empty() {
        bail!("this PostgreSQL has no TimescaleDB (set DATABASE_URL to one that has)");
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list_of_what_is_required() {
        assert!(is_named("data,anvil", "anvil"));
        assert!(is_named("data anvil", "data"));
        assert!(is_named("all", "python"));
        assert!(!is_named("database", "data"));
        assert!(!is_named("", "data"));
    }
}
