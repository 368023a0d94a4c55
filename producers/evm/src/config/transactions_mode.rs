use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which transactions are published as events of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionsMode {
    /// None.
    None,
    /// Those that a watched address sent or received, or whose new contract or new code is watched.
    #[default]
    Watched,
    /// All.
    All,
}

/// Whether receipts of a chain have an L1 fee (`l1Fee`) that is paid beside the gas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum L1FeeMode {
    /// It is added where a receipt has one. In blocks that begin with a deposit of the OP stack every receipt must have one.
    #[default]
    Added,
    /// Every receipt must have one: a transaction without it has no known fee.
    Required,
    /// Receipts have one, but gas pays for a part of it: the fee of such a transaction is not known.
    Unclear,
}
