use serde::{Deserialize, Serialize};

use crate::{
    kv::key::{escape_key, unescape_key},
    types::decimal::Decimal,
};

/// The newest dollar price of an asset: a value of the bucket `prices`, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetPrice {
    /// Dollars for one unit.
    pub price: Decimal,
    /// Time of the price according to the provider, microseconds UTC.
    pub at_us: i64,
    /// Provider of the price.
    #[serde(default)]
    pub source: String,
}

impl AssetPrice {
    /// The key of an asset.
    #[must_use]
    pub fn key(asset: &str) -> String {
        escape_key(asset)
    }

    /// The asset of a key.
    #[must_use]
    pub fn asset_of_key(key: &str) -> String {
        unescape_key(key).unwrap_or_else(|| key.to_owned())
    }
}
