//! Databases on a server.

use anyhow::Context as _;
use rand::RngExt as _;
use tokio_postgres::{Config, NoTls};

use super::{Postgres, PostgresOptions};

/// A fresh database for one test, dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    name: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Own(Box<Postgres>),
    /// On the server behind this URL, which is not ours.
    Shared(String),
}

impl TestDatabase {
    pub(super) async fn create(options: PostgresOptions) -> anyhow::Result<Self> {
        let name = format!("crypto_intel_test_{:016x}", rand::rng().random::<u64>());
        match std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()) {
            Some(shared) => {
                let url = create(&shared, &name).await.context("use DATABASE_URL")?;
                Ok(Self { url, name, place: Place::Shared(shared) })
            }
            None => {
                let server = Postgres::start(options).await?;
                let url = server.create_database(&name).await?;
                Ok(Self { url, name, place: Place::Own(Box::new(server)) })
            }
        }
    }

    /// Connection URL of the database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server, when it is private to this test and may be killed and restarted.
    pub fn server(&mut self) -> Option<&mut Postgres> {
        match &mut self.place {
            Place::Own(server) => Some(server),
            Place::Shared(_) => None,
        }
    }
}

/// A user with no rights but those of a role, dropped with this value.
#[derive(Debug)]
pub struct TestUser {
    url: String,
    name: String,
    /// The shared server to drop it on; a private server is removed as a whole.
    shared: Option<String>,
}

impl TestUser {
    /// Connection URL of the database as this user.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl TestDatabase {
    /// Makes a user who may log in and is a member of a role.
    ///
    /// # Errors
    /// When the role does not exist or the database's user may not make users.
    pub async fn user_in(&self, role: &str) -> anyhow::Result<TestUser> {
        let name = format!("crypto_intel_test_{:016x}", rand::rng().random::<u64>());
        let password = format!("{:032x}", rand::rng().random::<u128>());
        let sql = format!(
            "create role {name} login password '{password}'; grant {} to {name}",
            role.replace('"', "")
        );
        execute(&self.url, &sql).await?;
        let url = with_user(&self.url, &name, &password);
        let shared = match &self.place {
            Place::Own(_) => None,
            Place::Shared(shared) => Some(shared.clone()),
        };
        Ok(TestUser { url, name, shared })
    }
}

impl Drop for TestUser {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            execute_now(shared, format!("drop role {}", self.name));
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Place::Shared(shared) = &self.place else {
            return;
        };
        execute_now(shared.clone(), format!("drop database \"{}\" with (force)", self.name));
    }
}

/// Executes a statement from `drop`, which cannot wait inside the test's runtime: this uses a runtime of its own.
fn execute_now(url: String, sql: String) {
    let executed = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(execute(&url, &sql))
    });
    if let Ok(Err(error)) = executed.join() {
        tracing::warn!(error = format!("{error:#}"), "left behind on the test server");
    }
}

/// Makes a database and returns its URL.
pub(super) async fn create(server_url: &str, name: &str) -> anyhow::Result<String> {
    execute(server_url, &format!("create database \"{}\"", name.replace('"', "\"\""))).await?;
    Ok(with_database(server_url, name))
}

/// Whether the server behind the URL answers a query.
pub(super) async fn answers(url: &str) -> bool {
    execute(url, "select 1").await.is_ok()
}

async fn execute(url: &str, sql: &str) -> anyhow::Result<()> {
    let config: Config = url.parse().context("read database URL")?;
    let (client, connection) = config.connect(NoTls).await.context("connect to database")?;
    let driver = tokio::spawn(connection);
    let result = client.batch_execute(sql).await.with_context(|| format!("execute {sql:?}"));
    drop(client);
    let _ = driver.await;
    result
}

// Replaces user and password of the URL, which may have none.
fn with_user(url: &str, user: &str, password: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?']).map_or(url.len(), |at| start + at);
    let host = url[start..end].rsplit_once('@').map_or(&url[start..end], |(_, host)| host);
    format!("{}{user}:{password}@{host}{}", &url[..start], &url[end..])
}

// Replaces the path of the URL, keeping its parameters.
fn with_database(server_url: &str, name: &str) -> String {
    let (base, parameters) = match server_url.split_once('?') {
        Some((base, parameters)) => (base, format!("?{parameters}")),
        None => (server_url, String::new()),
    };
    let authority_start = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority_start..].find('/').map_or(base.len(), |at| authority_start + at);
    format!("{}/{name}{parameters}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_only_the_user_in_a_url() {
        for (url, expected) in [
            ("postgres://a:b@h:1/x?sslmode=disable", "postgres://u:p@h:1/x?sslmode=disable"),
            ("postgres://h/x", "postgres://u:p@h/x"),
            ("postgres://a@h:1", "postgres://u:p@h:1"),
        ] {
            assert_eq!(with_user(url, "u", "p"), expected);
        }
    }

    #[test]
    fn changes_only_the_database_in_a_url() {
        let expected = "postgres://a:b@h:1/x?sslmode=disable";
        assert_eq!(with_database("postgres://a:b@h:1/postgres?sslmode=disable", "x"), expected);
        assert_eq!(with_database("postgres://a:b@h:1?sslmode=disable", "x"), expected);
        assert_eq!(with_database("postgres://h", "x"), "postgres://h/x");
    }
}
