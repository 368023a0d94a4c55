//! A private PostgreSQL server.

mod account;
mod cluster;
mod database;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;
use tempfile::TempDir;

use self::account::Account;
pub use self::database::{TestDatabase, TestUser};
use crate::port::free_port;
use crate::process::{ServerProcess, children_of, is_gone, kill_pid};
use crate::tools::{self, PostgresTools};

const START_ATTEMPTS: usize = 5;

/// How to start a [`Postgres`].
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Where the data is kept, created when missing; a temporary folder that goes with the server when `None`.
    pub data_dir: Option<PathBuf>,
    /// Whether a commit is on disk (`fsync`). Without it, data survives a crash of the server but not of the machine.
    pub durable: bool,
    /// Further settings, each `name=value`; they win over ours.
    pub extra_conf: Vec<String>,
    /// TimescaleDB's Apache edition from `.tools/timescale` instead of the system's PostgreSQL.
    pub timescale: bool,
}

/// A private PostgreSQL on 127.0.0.1 with the superuser `postgres` and no password; killed when dropped.
///
/// Started by root, it runs as an unprivileged user: `postgres` if there is one.
#[derive(Debug)]
pub struct Postgres {
    process: ServerProcess,
    tools: PostgresTools,
    account: Option<Account>,
    options: PostgresOptions,
    data_dir: PathBuf,
    port: u16,
    run_dir: TempDir,
}

impl Postgres {
    /// Makes the data folder if needed, starts the server and waits until it answers.
    ///
    /// # Errors
    /// Fails when there is no PostgreSQL, when it cannot be initialised or started, or after 60 s; the error shows the log.
    pub async fn start(options: PostgresOptions) -> anyhow::Result<Self> {
        let account = Account::for_postgres()?;
        let tools = if options.timescale { tools::timescale()? } else { tools::postgres()? };
        let tools = cluster::reachable_tools(tools, account.as_ref())?;
        let run_dir =
            TempDir::with_prefix("crypto-intel-postgres-").context("create folder for postgres")?;
        if let Some(account) = &account {
            account.own(run_dir.path())?;
        }
        let data_dir = cluster::prepare(&tools, account.as_ref(), &options, run_dir.path())?;
        let mut attempt = 1;
        loop {
            let port = free_port()?;
            let command =
                command(&tools, account.as_ref(), &options, &data_dir, port, run_dir.path());
            match launch(command, port, run_dir.path()).await {
                Ok(process) => {
                    return Ok(Self { process, tools, account, options, data_dir, port, run_dir });
                }
                // Another process took the port first.
                Err(error)
                    if attempt < START_ATTEMPTS
                        && error.to_string().contains("Address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`, the same after every restart.
    #[must_use]
    pub fn url(&self) -> String {
        server_url(self.port)
    }

    /// Process id of the running (or last) postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Major version, 15 to 18.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.tools.version
    }

    /// Where the data really is (see [`PostgresOptions::data_dir`]: as root it may be a link to elsewhere).
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its programs.
    #[must_use]
    pub fn tools(&self) -> &PostgresTools {
        &self.tools
    }

    /// Whether the TimescaleDB library is installed and was loaded.
    #[must_use]
    pub fn has_timescale(&self) -> bool {
        cluster::has_timescale(&self.tools)
    }

    /// What the server logged since its last start.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// Fails when the server does not answer or the name is taken.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<String> {
        database::create(&self.url(), name).await
    }

    /// A fresh database for a test: on the server of `DATABASE_URL` when that is set, else on a private server.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`create_database`](Self::create_database).
    pub async fn test_database() -> anyhow::Result<TestDatabase> {
        TestDatabase::create(PostgresOptions::default()).await
    }

    /// The same, but a private server has TimescaleDB's Apache edition.
    ///
    /// # Errors
    /// As [`test_database`](Self::test_database), and when `make timescale` was not run.
    pub async fn timescale_database() -> anyhow::Result<TestDatabase> {
        TestDatabase::create(PostgresOptions { timescale: true, ..PostgresOptions::default() })
            .await
    }

    /// The same as [`test_database`](Self::test_database).
    ///
    /// # Errors
    /// As there.
    pub async fn shared_or_start() -> anyhow::Result<TestDatabase> {
        Self::test_database().await
    }

    /// SIGKILL to the postmaster and all its children at once; returns when they are gone.
    ///
    /// # Errors
    /// Fails when the system does not let us wait for the process.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        // A stopped postmaster cannot start a child that we would miss.
        self.process.pause()?;
        let children =
            if self.process.is_running() { children_of(self.process.pid()) } else { Vec::new() };
        self.process.kill()?;
        for child in &children {
            kill_pid(*child);
        }
        let started = Instant::now();
        // Polls with a deadline, in a function that a drop can call.
        #[allow(clippy::disallowed_methods)]
        while !children.iter().all(|child| is_gone(*child))
            && started.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Fast shutdown (SIGINT): open transactions are rolled back; returns when the server is gone.
    ///
    /// # Errors
    /// Fails when it had to be killed after 60 s.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.stop(Signal::INT).await
    }

    /// Starts the server again after [`kill`](Self::kill) or [`stop`](Self::stop): same port, same data.
    /// A server that still runs is killed first.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        let run_dir = self.run_dir.path();
        let account = self.account.as_ref();
        let command =
            command(&self.tools, account, &self.options, &self.data_dir, self.port, run_dir);
        self.process = launch(command, self.port, run_dir).await?;
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.kill();
        cluster::remove_shared_memory(&self.data_dir);
    }
}

fn server_url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

fn command(
    tools: &PostgresTools,
    account: Option<&Account>,
    options: &PostgresOptions,
    data_dir: &Path,
    port: u16,
    run_dir: &Path,
) -> Command {
    let mut command = tools.command("postgres");
    command.arg("-D").arg(data_dir).current_dir(run_dir);
    let mut settings = vec![
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={}", run_dir.display()),
        "max_connections=100".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ];
    if !options.durable {
        settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
    }
    if cluster::has_timescale(tools) {
        settings.push("shared_preload_libraries=timescaledb".to_owned());
        settings.push("timescaledb.telemetry_level=off".to_owned());
    }
    settings.extend(options.extra_conf.iter().cloned());
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    // The server's time zone and messages must not depend on the caller's environment.
    command.env("LC_ALL", "C").env("TZ", "UTC");
    if let Some(account) = account {
        account.apply(&mut command);
    }
    command
}

async fn launch(mut command: Command, port: u16, run_dir: &Path) -> anyhow::Result<ServerProcess> {
    let log_path = run_dir.join("server.log");
    let mut process = ServerProcess::spawn("postgres", &mut command, &log_path, Some(run_dir))?;
    let url = server_url(port);
    process
        .wait_until_ready(async |process| {
            process.log().contains("ready to accept connections") && database::answers(&url).await
        })
        .await?;
    Ok(process)
}
