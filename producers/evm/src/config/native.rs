use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The chain's own currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NativeConfig {
    /// Symbol. Default: `ETH`.
    pub symbol: String,
    /// Decimals of its smallest unit. Default: 18.
    pub decimals: u8,
    /// Asset id under which its price is known; empty where it has none. Default: `ethereum`.
    pub asset: String,
}

impl Default for NativeConfig {
    fn default() -> Self {
        Self { symbol: "ETH".to_owned(), decimals: 18, asset: "ethereum".to_owned() }
    }
}
