//! The servers that everything is measured on, and a description of the machine.

use std::{fs, process::Command};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, NatsConfig, Topology};
use crypto_intel_sandbox::{
    NatsOptions, NatsServer, Postgres, PostgresOptions, TestDatabase, tools,
};
use crypto_intel_service::Secret;
use crypto_intel_store::{Edition, Store, StoreConfig};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::Connection,
    report::{Line, Report},
    usage::{cores, note_orphans},
};

/// A nats-server with our streams, and a connection to it.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) server: NatsServer,
    pub(crate) nats: Nats,
}

/// A fresh nats-server with the settings of production (`sync_interval: always`) and our streams.
pub(crate) async fn broker() -> anyhow::Result<Broker> {
    let server = NatsServer::start(NatsOptions::default()).await.context("start nats-server")?;
    let config = NatsConfig { url: server.url().into(), ..NatsConfig::default() };
    let nats = crypto_intel_nats::connect(&config, "bench", &CancellationToken::new())
        .await
        .context("connect to NATS")?;
    Topology::embedded()?.apply(&nats, false).await.context("apply the streams")?;
    Ok(Broker { server, nats })
}

/// A PostgreSQL with `fsync` on, and a database with our tables.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) server: Postgres,
    pub(crate) url: String,
}

impl Drop for Database {
    fn drop(&mut self) {
        note_orphans(self.server.pid());
    }
}

/// A fresh PostgreSQL with `fsync` on and our tables; with TimescaleDB if it is installed.
pub(crate) async fn database() -> anyhow::Result<Database> {
    let options = PostgresOptions {
        durable: true,
        // A checkpoint or the creation of WAL files on only one side would decide the comparison.
        extra_conf: ["max_wal_size=8GB", "min_wal_size=2GB", "checkpoint_timeout=1h"]
            .map(str::to_owned)
            .to_vec(),
        ..PostgresOptions::default()
    };
    let server = Postgres::start(options).await.context("start PostgreSQL")?;
    let url = server.create_database("crypto_intel").await?;
    migrate(&url).await?;
    Ok(Database { server, url })
}

/// Creates our tables and returns the database's edition.
async fn migrate(url: &str) -> anyhow::Result<Edition> {
    let config = StoreConfig { url: Secret::new(url), ..StoreConfig::default() };
    let store = Store::connect(&config, &CancellationToken::new())
        .await
        .context("connect to the database")?;
    store.migrate(false).await.context("migrate the database")?;
    Ok(store.edition().await?)
}

/// A database for many rows.
#[derive(Debug)]
pub(crate) struct QueryDatabase {
    pub(crate) connection: Connection,
    pub(crate) edition: Edition,
    // Dropped after the connection.
    database: TestDatabase,
}

impl QueryDatabase {
    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }
}

impl Drop for QueryDatabase {
    fn drop(&mut self) {
        if let Some(server) = self.database.server() {
            note_orphans(server.pid());
        }
    }
}

/// A fresh database with our tables: on the server of `DATABASE_URL`, else on a private one.
pub(crate) async fn query_database() -> anyhow::Result<QueryDatabase> {
    prepared(Postgres::test_database().await?).await
}

/// The same in a database that is there.
pub(crate) async fn prepared(mut database: TestDatabase) -> anyhow::Result<QueryDatabase> {
    let edition = migrate(database.url()).await?;
    let connection = Connection::open(database.url()).await?;
    if database.server().is_some() {
        // So that loading does not wait for checkpoints.
        for setting in ["max_wal_size = '4GB'", "maintenance_work_mem = '256MB'"] {
            connection.run(&format!("ALTER SYSTEM SET {setting}")).await?;
        }
        connection.run("SELECT pg_reload_conf()").await?;
    }
    Ok(QueryDatabase { connection, edition, database })
}

/// Machine and versions.
pub(crate) fn describe(report: &mut Report) -> anyhow::Result<()> {
    let nats = version_of(Command::new(tools::nats_server()?).arg("--version"));
    let postgres = version_of(tools::postgres()?.command("postgres").arg("--version"));
    let texts = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("nats_server", nats),
        ("postgresql", postgres),
        ("cpu", cpu_model()),
        ("load_at_start", load()),
    ];
    let mut lines = vec![Line::new("cores").count(cores() as u64)];
    report.put("cores", cores());
    for (key, text) in texts {
        lines.push(Line::new(key.replace('_', " ")).text(text.clone()));
        report.put_text(key, text);
    }
    report.table(&["machine", ""], &lines);
    Ok(())
}

/// Load of the last minute: if it is far above what runs here, other processes distort the figures.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}

fn version_of(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim()).to_owned()
}
