mod alerts;
mod backup;
mod balances;
mod facts;
mod keys;
mod labels;
mod portfolio;
mod providers;
mod replay;
mod rules;
mod watch;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::roles::Role;

pub(crate) use alerts::{
    AlertsAction, AlertsArguments, RouteAction, RouteArguments, SilenceAction, SilenceArguments,
};
pub(crate) use facts::FactsArguments;
pub(crate) use keys::{KeysAction, KeysArguments};
pub(crate) use labels::{ImportArguments, LabelsAction, LabelsArguments};
pub(crate) use portfolio::PortfolioArguments;
pub(crate) use providers::{ProvidersAction, ProvidersArguments};
pub use replay::{ReplayArguments, ReplayTo};
pub(crate) use rules::{RulesAction, RulesArguments, RulesTestArguments};
pub(crate) use watch::{AddressOrName, WatchAction, WatchArguments};

pub(crate) use balances::BalancesArguments;

pub(crate) use backup::{BackupArguments, RestoreArguments, RestorePart};

/// Chain and market events on NATS JetStream: stored, watched by rules, told to people.
#[derive(Debug, Parser)]
#[command(name = "crypto-intel", version, about, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file [default: crypto-intel.toml, where it exists].
    #[arg(long, global = true, env = "CRYPTO_INTEL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Machine-readable output: JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// Log filter, such as `debug` or `info,crypto_intel_evm=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole pipeline on private servers, with a live summary. Nothing to configure.
    Demo(DemoArguments),
    /// Run roles until SIGTERM: all that the configuration enables, or the named ones.
    Run(RunArguments),
    /// Write a commented configuration.
    Init(InitArguments),
    /// Validate the configuration, then connect to everything it names.
    Check(CheckArguments),
    /// Heads, lags, streams and last alerts on one screen.
    Status,
    /// The streams on the NATS server against those of this version.
    Streams(StreamsArguments),
    /// Bring the database to this version's schema.
    Migrate(MigrateArguments),
    /// Print events as JSON lines while they arrive.
    Tail(TailArguments),
    /// Read a stream again: into the tables, onto subjects, as JSON lines; or rebuild all tables and exchange them.
    Replay(Box<ReplayArguments>),
    /// Publish a past range of blocks on the history lane.
    Backfill(BackfillArguments),
    /// Compare what is stored with the chain and queue what is missing.
    Audit(AuditArguments),
    /// Sources that are polled: list them, try one, test their files.
    Providers(ProvidersArguments),
    /// What several sources say of one thing: the value that is used, each source, its age and verdict.
    Facts(FactsArguments),
    /// Alert rules.
    Rules(RulesArguments),
    /// What could not be handled: list, show.
    Dlq(DeadLetterArguments),
    /// Destinations of alerts: send a test message.
    Notify(NotifyArguments),
    /// Alerts and who was told: list, show, acknowledge. No database is needed.
    Alerts(AlertsArguments),
    /// Alerts that no one is told of for a time: add, list, end. No restart is needed.
    Silence(SilenceArguments),
    /// Who would be told of an alert.
    Route(RouteArguments),
    /// Addresses that you want to hear of: add, remove, list. No restart is needed.
    Watch(WatchArguments),
    /// What addresses are called: import lists, show, remove; renew the list of sanctions. No restart is needed.
    Labels(LabelsArguments),
    /// Who may use the API: add, list, revoke keys. No restart is needed.
    Keys(KeysArguments),
    /// What watched wallets hold, as it is stored.
    Balances(BalancesArguments),
    /// What watched wallets are worth; of one also what it gained and lost.
    Portfolio(PortfolioArguments),
    /// Database, streams and buckets into a folder, checked.
    Backup(BackupArguments),
    /// A backup onto an empty database and a NATS server without its streams.
    Restore(RestoreArguments),
}

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// End after this time, with a summary, and fail if any stage saw nothing [default: until Ctrl-C].
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<std::time::Duration>,
    /// Where the private servers keep their data.
    #[arg(long, default_value = "crypto-intel-data/demo", value_name = "FOLDER")]
    pub data: PathBuf,
    /// Use the scripted node even where anvil is installed.
    #[arg(long)]
    pub scripted: bool,
    /// Follow a real chain over its public endpoints instead of the local one, such as `ethereum`.
    #[arg(long, value_name = "CHAIN", conflicts_with = "scripted")]
    pub live: Option<String>,
    /// Endpoints of `--live` in place of the public ones.
    #[arg(long, value_name = "URL", hide = true, requires = "live")]
    pub live_endpoint: Vec<String>,
    /// Transfers per second that the local chain plays.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub rate: u32,
    /// Address of the API [default: a free port].
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub api: SocketAddr,
    /// Address of `/live`, `/ready` and `/metrics` [default: a free port].
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub admin: SocketAddr,
}

/// `run`
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Roles to run [default: all that the configuration enables].
    #[arg(value_enum)]
    pub roles: Vec<Role>,
    /// How long unreachable servers are tried at start, such as `30s` [default: as configured].
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub start_timeout: Option<std::time::Duration>,
}

/// `init`
#[derive(Debug, Clone, Args)]
pub struct InitArguments {
    /// Folder to write `crypto-intel.toml` and `rules/` into.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Overwrite files that are there.
    #[arg(long)]
    pub force: bool,
}

/// `check`
#[derive(Debug, Clone, Args)]
pub struct CheckArguments {
    /// Print the effective configuration, secrets hidden, and connect to nothing.
    #[arg(long)]
    pub print: bool,
}

/// `streams`
#[derive(Debug, Clone, Args)]
pub struct StreamsArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: StreamsAction,
}

/// What `streams` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum StreamsAction {
    /// What differs; exit code 1 if anything does.
    Diff,
    /// Create what is missing and update what differs.
    Apply {
        /// Also make changes that can drop stored messages, such as a smaller limit.
        #[arg(long)]
        allow_destructive: bool,
    },
    /// Messages, sizes and fill of each stream.
    Status,
    /// Delete streams with all that they hold, as before a restore.
    Remove {
        /// Their names, such as `EVM` or `KV_prices`.
        #[arg(required = true)]
        names: Vec<String>,
        /// Do it; without this only what would be lost is told.
        #[arg(long)]
        yes: bool,
    },
}

/// `migrate`
#[derive(Debug, Clone, Args)]
pub struct MigrateArguments {
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// `tail`
#[derive(Debug, Clone, Args)]
pub struct TailArguments {
    /// Subject filter, such as `evm.>` or `evm.*.transfer.erc20` [default: all events].
    pub subject: Option<String>,
    /// Begin in the past: `10m` ago, a time such as `2026-01-31T12:00:00Z`, or `start`.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// End after so many events.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// `backfill`
#[derive(Debug, Clone, Args)]
pub struct BackfillArguments {
    /// The chain, by its name in the configuration.
    pub chain: String,
    /// First block.
    #[arg(long, value_name = "N")]
    pub from: u64,
    /// Last block; blocks that are not final yet are left to live.
    #[arg(long, value_name = "M", required_unless_present = "take_back")]
    pub to: Option<u64>,
    /// Only queue the range; do not wait until the producer has published it.
    #[arg(long)]
    pub detach: bool,
    /// Take back the range that was asked for from this first block on: what of it is not published yet is not published.
    #[arg(long, conflicts_with_all = ["to", "detach"])]
    pub take_back: bool,
}

/// `audit`
#[derive(Debug, Clone, Args)]
pub struct AuditArguments {
    /// The chain, by its name in the configuration.
    pub chain: String,
    /// First block [default: after the last verified one, else the oldest that is stored].
    #[arg(long, value_name = "N")]
    pub from: Option<u64>,
    /// Last block [default: the last final one].
    #[arg(long, value_name = "M")]
    pub to: Option<u64>,
    /// Only say what is missing: queue nothing, keep nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `dlq`
#[derive(Debug, Clone, Args)]
pub struct DeadLetterArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: DeadLetterAction,
}

/// What `dlq` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum DeadLetterAction {
    /// The newest dead letters, newest first.
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// One dead letter, whole.
    Show {
        /// Its sequence in the stream DLQ, as `list` shows it.
        sequence: u64,
    },
    /// Hand letters of notify back, to be sent after all; they leave the list.
    Retry {
        /// Their sequences in the stream DLQ.
        #[arg(required = true)]
        sequences: Vec<u64>,
        /// Send to this destination instead.
        #[arg(long, value_name = "DESTINATION")]
        to: Option<String>,
    },
    /// Delete letters that are dealt with.
    Remove {
        /// Their sequences in the stream DLQ.
        #[arg(required = true)]
        sequences: Vec<u64>,
    },
}

/// `notify`
#[derive(Debug, Clone, Args)]
pub struct NotifyArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: NotifyAction,
}

/// What `notify` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum NotifyAction {
    /// Send one test message. If it arrives, messages that wait for the destination are sent, too.
    Test {
        /// Its name in the configuration.
        destination: String,
    },
}

/// Reads `90s`, `10m`, `2h`, `1d` or `250ms`.
///
/// # Errors
/// Says what is expected.
pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .filter(|total| milliseconds > 0 && *total > 0)
        .map(std::time::Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a time such as 90s, 10m, 2h or 1d"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "s", "0s", "5x", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
