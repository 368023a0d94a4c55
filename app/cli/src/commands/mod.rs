//! One module per command.

pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod backup;
pub(crate) mod balances;
pub(crate) mod check;
pub(crate) mod dlq;
pub(crate) mod facts;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod labels;
pub(crate) mod migrate;
pub(crate) mod notify;
pub(crate) mod portfolio;
pub(crate) mod providers;
pub(crate) mod replay;
pub(crate) mod restore;
pub(crate) mod route;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod silence;
pub(crate) mod status;
pub(crate) mod streams;
pub(crate) mod tail;
pub(crate) mod watch;

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_service::{ConfigError, init_telemetry};
use crypto_intel_store::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Arguments, Command},
    config::AppConfig,
};

/// How long a person waits for a server that does not answer.
const COMMAND_TIMEOUT_SECONDS: u64 = 5;

/// Configuration and logger of a command that speaks to servers.
pub(crate) fn prepare(arguments: &Arguments) -> anyhow::Result<AppConfig> {
    let mut config = AppConfig::load(arguments)?;
    // A command's output is for its reader: only trouble belongs beside it, unless asked for.
    if arguments.log.is_none() {
        config.telemetry.log = "warn".to_owned();
    }
    // The others prepare servers that may still be starting.
    if !matches!(arguments.command, Command::Streams(_) | Command::Migrate(_)) {
        let timeout = &mut config.nats.start_timeout_seconds;
        *timeout = COMMAND_TIMEOUT_SECONDS.min(*timeout);
        let timeout = &mut config.database.start_timeout_seconds;
        *timeout = COMMAND_TIMEOUT_SECONDS.min(*timeout);
    }
    init_telemetry(&config.telemetry)?;
    Ok(config)
}

pub(crate) async fn connect_nats(config: &AppConfig, name: &str) -> anyhow::Result<Nats> {
    config.require_secrets(&["nats"])?;
    crypto_intel_nats::connect(&config.nats, name, &CancellationToken::new())
        .await
        .context("connect to NATS")
}

pub(crate) async fn connect_store(config: &AppConfig) -> anyhow::Result<Store> {
    if config.database.url.is_empty() {
        let problem = "no database is configured: set database.url to postgres://user:password@host:5432/database; \
             what only needs the subjects works without one";
        return Err(ConfigError { problems: vec![problem.to_owned()] }.into());
    }
    config.require_secrets(&["database"])?;
    Store::connect(&config.database, &CancellationToken::new())
        .await
        .context("connect to the database")
}

/// Exit code of a command line that cannot be understood, as clap's own.
const USAGE: u8 = 2;

/// Says why a command line cannot be understood.
pub(crate) fn misunderstood(problem: impl std::fmt::Display) -> ExitCode {
    eprintln!("crypto-intel: {problem:#}");
    ExitCode::from(USAGE)
}

/// 0 for good news, 1 otherwise.
pub(crate) fn exit_code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
