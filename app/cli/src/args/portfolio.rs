use clap::{Args, ValueEnum};
use crypto_intel_schemas::Address;
use crypto_intel_store::portfolio::CostMethod;

use super::watch::parse_address;

/// `portfolio`
#[derive(Debug, Clone, Args)]
pub struct PortfolioArguments {
    /// One wallet, each asset with its profit and loss; without one, what every watched wallet is worth.
    #[arg(value_parser = parse_address)]
    pub address: Option<Address>,
    /// The wallets of a group of the watch-list as one: what moves between them is neither sale nor purchase.
    #[arg(long, value_name = "GROUP", conflicts_with = "address")]
    pub group: Option<String>,
    /// Only on this chain.
    #[arg(long, value_name = "CHAIN")]
    pub chain: Option<String>,
    /// Which units are sold first.
    #[arg(long, value_enum, default_value_t = Method::Fifo)]
    pub method: Method,
}

/// How the cost of what is sold is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Those that came in first.
    Fifo,
    /// Each unit cost the mean of all that are held.
    Average,
}

impl From<Method> for CostMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Fifo => Self::Fifo,
            Method::Average => Self::AverageCost,
        }
    }
}
