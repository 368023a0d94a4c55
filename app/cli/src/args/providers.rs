use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

use super::parse_duration;

/// `providers`
#[derive(Debug, Clone, Args)]
pub struct ProvidersArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: ProvidersAction,
}

/// What `providers` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum ProvidersAction {
    /// Every polled provider: how it does, what is used of its quota, when it is asked next.
    List {
        /// Also those that are switched off or lack their key.
        #[arg(long)]
        all: bool,
    },
    /// Request an endpoint once and show its events and what was dropped. Publishes nothing.
    Try {
        /// A provider, such as `coingecko`, or one endpoint of it, such as `coingecko/simple-price`.
        #[arg(value_name = "NAME[/ENDPOINT]")]
        name: String,
        /// Read this saved answer of the endpoint instead, without a request.
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
        /// Ask for the past of the endpoint instead, from this time on: such as `30d` (ago), or `2026-01-31T12:00:00Z`.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Up to this time. Default: now.
        #[arg(long, value_name = "TIME", requires = "from")]
        to: Option<String>,
    },
    /// Have the poller fetch a range of the past, such as candles, into the tables.
    History {
        /// A provider, such as `binance`, or one endpoint of it, such as `binance/ticker-24h`.
        #[arg(value_name = "NAME[/ENDPOINT]")]
        name: String,
        /// From this time on: such as `30d` (ago), or `2026-01-31T12:00:00Z`.
        #[arg(long, value_name = "TIME")]
        from: String,
        /// Up to this time. Default: now.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
    },
    /// Have the poller ask a provider nothing for a time. What is missing then is told as ever.
    Pause {
        /// A provider, such as `coingecko`, or one endpoint of it, such as `coingecko/simple-price`.
        #[arg(value_name = "NAME[/ENDPOINT]")]
        name: String,
        /// How long, such as `2h`; at most 7 days.
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration, default_value = "1h")]
        duration: Duration,
        /// Why; others read it.
        #[arg(long, value_name = "TEXT", default_value = "by hand")]
        reason: String,
        /// Who makes it [default: the user of this system].
        #[arg(long, value_name = "NAME", env = "USER")]
        by: Option<String>,
    },
    /// End the pauses of a provider, or that of one endpoint, before their time.
    Resume {
        /// A provider, such as `coingecko`, or one endpoint of it, such as `coingecko/simple-price`.
        #[arg(value_name = "NAME[/ENDPOINT]")]
        name: String,
        /// Who ends it [default: the user of this system].
        #[arg(long, value_name = "NAME", env = "USER")]
        by: Option<String>,
    },
    /// Check every provider file on its own examples, without a request.
    Test,
}
