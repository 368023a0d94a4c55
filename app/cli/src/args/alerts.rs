use std::time::Duration;

use clap::{Args, Subcommand};

use super::parse_duration;

/// `alerts`
#[derive(Debug, Clone, Args)]
pub struct AlertsArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: AlertsAction,
}

/// What `alerts` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum AlertsAction {
    /// The newest alerts, newest first, and who was told.
    List {
        /// Only those that match all of these, such as `rule=depeg` or `chain!=base`.
        #[arg(value_name = "MATCHER")]
        matchers: Vec<String>,
        /// Begin so long ago, or at a time such as `2026-01-31T12:00:00Z`.
        #[arg(long, value_name = "TIME", default_value = "1d")]
        since: String,
        /// How many.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// One alert: when, why, who was told, when, how often it was tried.
    Show {
        /// Its code, as messages show it, or its key.
        code: String,
    },
    /// Take care of an alert: it is neither repeated nor escalated from now on.
    Ack {
        /// Its code, as messages show it, or its key.
        code: String,
        /// Who takes care [default: the user of this system].
        #[arg(long, value_name = "NAME", env = "USER")]
        by: Option<String>,
    },
}

/// `silence`
#[derive(Debug, Clone, Args)]
pub struct SilenceArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: SilenceAction,
}

/// What `silence` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum SilenceAction {
    /// Tell no one of alerts that match all of these, for a time.
    Add {
        /// Such as `rule=depeg`, `chain!=base`, `token=~USD.*` or `chain in (base, optimism)`.
        #[arg(required = true, value_name = "MATCHER")]
        matchers: Vec<String>,
        /// How long, such as `2h`.
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        duration: Duration,
        /// Why; others read it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Start so much later, such as `30m` [default: now].
        #[arg(long = "in", value_name = "TIME", value_parser = parse_duration)]
        delay: Option<Duration>,
        /// Who makes it [default: the user of this system].
        #[arg(long, value_name = "NAME", env = "USER")]
        by: Option<String>,
    },
    /// The silences that are in force or will be.
    List {
        /// Also those of the last 30 days that are over.
        #[arg(long)]
        all: bool,
    },
    /// End one now; what it kept back and still lasts is told.
    End {
        /// Its id, as `list` shows it.
        id: String,
        /// Who ends it [default: the user of this system].
        #[arg(long, value_name = "NAME", env = "USER")]
        by: Option<String>,
    },
}

/// `route`
#[derive(Debug, Clone, Args)]
pub struct RouteArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: RouteAction,
}

/// What `route` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum RouteAction {
    /// Say who would be told of an alert now, by which route, and what keeps it back.
    Test {
        /// Values of the alert, such as `severity=critical rule=depeg chain=base`.
        #[arg(value_name = "NAME=VALUE")]
        values: Vec<String>,
        /// Look at the file only, not at silences and lasting alerts on the server.
        #[arg(long)]
        offline: bool,
    },
}
