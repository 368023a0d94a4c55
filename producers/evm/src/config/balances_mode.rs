use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of whom balances are read from the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BalancesMode {
    /// Of no wallet.
    None,
    /// Of watched wallets.
    #[default]
    Watched,
}
