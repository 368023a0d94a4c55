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
    },
    /// Check every provider file on its own examples, without a request.
    Test,
}
