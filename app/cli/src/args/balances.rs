use clap::Args;
use crypto_intel_schemas::Address;

use super::watch::parse_address;

/// `balances`
#[derive(Debug, Clone, Args)]
pub struct BalancesArguments {
    /// One wallet, also one that is watched no longer [default: all that are watched].
    #[arg(value_parser = parse_address)]
    pub address: Option<Address>,
    /// Only on this chain.
    #[arg(long)]
    pub chain: Option<String>,
}
