use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Check every provider file on its own examples, without a request.
    Test,
}
