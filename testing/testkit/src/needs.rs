//! Requirements of tests that not every machine meets.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use crypto_intel_sandbox::{Anvil, AnvilOptions, Postgres, TestDatabase};

use crate::database::try_sql_client;

/// Something that a test needs and a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Recorded data, in the folder that `CRYPTO_INTEL_DATA` names.
    Data,
    /// anvil, from npm.
    Anvil,
    /// The TimescaleDB extension, of any edition.
    Timescale,
    /// TimescaleDB's community edition, which only a server of `DATABASE_URL` can have.
    Community,
    /// Python 3 with msgpack and nats-py.
    Python,
    /// Node with playwright-core, and a Chromium.
    Browser,
    /// Node 22.18 or newer, which runs TypeScript.
    TypeScript,
    /// promtool and amtool: Debian's prometheus and prometheus-alertmanager.
    Prometheus,
}

impl Need {
    /// The name in `CRYPTO_INTEL_REQUIRE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Anvil => "anvil",
            Self::Timescale => "timescale",
            Self::Community => "community",
            Self::Python => "python",
            Self::Browser => "browser",
            Self::TypeScript => "typescript",
            Self::Prometheus => "prometheus",
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

/// Returns what was found. Otherwise prints a message and returns `None`, so that the test can return.
///
/// # Panics
/// When it is missing and `CRYPTO_INTEL_REQUIRE` names it: the test fails.
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

/// A fresh database on a server that has TimescaleDB: that of `DATABASE_URL`, else a private one with the Apache
/// edition. The extension is not yet created in it.
///
/// # Panics
/// As [`available`].
pub async fn timescale() -> Option<TestDatabase> {
    available(Need::Timescale, database_with_timescale().await)
}

/// As [`timescale`], for a test target in which every test needs it: without one, the process says why and exits.
///
/// # Panics
/// As [`available`].
pub async fn timescale_or_end() -> TestDatabase {
    or_end(timescale().await)
}

/// A fresh database on the server of `DATABASE_URL`, if that has TimescaleDB's community edition. The extension is created
/// in it. For a test target in which every test needs it: without one, the process says why and exits.
///
/// # Panics
/// As [`available`].
pub async fn community_or_end() -> TestDatabase {
    or_end(available(Need::Community, database_with_community().await))
}

// A test cannot skip itself from within nested calls, but its process can exit.
#[allow(clippy::exit)]
fn or_end(found: Option<TestDatabase>) -> TestDatabase {
    found.unwrap_or_else(|| std::process::exit(0))
}

async fn database_with_timescale() -> anyhow::Result<TestDatabase> {
    let database = Postgres::timescale_database().await?;
    let sql = "select default_version from pg_available_extensions where name = 'timescaledb'";
    match ask(&database, sql).await? {
        Some(_) => Ok(database),
        None => bail!("the server of DATABASE_URL has no TimescaleDB"),
    }
}

async fn database_with_community() -> anyhow::Result<TestDatabase> {
    if std::env::var_os("DATABASE_URL").is_none_or(|url| url.is_empty()) {
        bail!("set DATABASE_URL to a server with TimescaleDB's community edition");
    }
    let database = database_with_timescale().await?;
    ask(&database, "create extension if not exists timescaledb").await?;
    match ask(&database, "select current_setting('timescaledb.license', true)").await?.as_deref() {
        Some("timescale") => Ok(database),
        license => bail!("the server of DATABASE_URL has TimescaleDB's licence {license:?}"),
    }
}

/// First column of the first row of the result.
async fn ask(database: &TestDatabase, sql: &str) -> anyhow::Result<Option<String>> {
    let client = try_sql_client(database.url()).await.context("connect to database")?;
    let rows = client.query(sql, &[]).await.with_context(|| sql.to_owned())?;
    Ok(rows.first().and_then(|row| row.get(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_list_of_requirements() {
        assert!(is_named("data,anvil", "anvil"));
        assert!(is_named("data anvil", "data"));
        assert!(is_named("all", "python"));
        assert!(!is_named("database", "data"));
        assert!(!is_named("", "data"));
    }
}
