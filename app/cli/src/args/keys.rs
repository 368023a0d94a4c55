use std::time::Duration;

use clap::{Args, Subcommand};
use crypto_intel_schemas::ApiRole;

use super::parse_duration;

/// `keys`
#[derive(Debug, Clone, Args)]
pub struct KeysArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: KeysAction,
}

/// What `keys` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysAction {
    /// Make a key and print it, this once.
    Add {
        /// Whose it is, such as `desk` or `grafana`.
        name: String,
        /// viewer, analyst, operator or admin; each may what the one before may.
        #[arg(long)]
        role: ApiRole,
        /// A chain that it may see; may be repeated [default: all].
        #[arg(long = "chain", value_name = "CHAIN")]
        chains: Vec<String>,
        /// How long it counts, such as `90d` [default: until it is revoked].
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        expires: Option<Duration>,
    },
    /// All keys: whose, what they may, until when.
    List,
    /// Print a link to the dashboard that begins a session of a key: once, within five minutes.
    Login {
        /// The key, by its name or id.
        key: String,
        /// Where the dashboard is called, such as `https://api.example.org` [default: the API's address on this machine].
        #[arg(long)]
        url: Option<String>,
    },
    /// Refuse a key from now on, within a second, in every process.
    Revoke {
        /// Its id, as `list` shows it.
        id: String,
    },
}
