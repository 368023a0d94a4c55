use serde::{Deserialize, Serialize};

use crate::{
    kv::{
        fact_value::{FactChoice, SourceVerdict},
        key::{escape_key, unescape_key},
    },
    types::decimal::Decimal,
};

/// The dollar price of an asset that is used, and what every source says: a value of the bucket `prices`, as JSON.
///
/// Readers need `price`, `at_us` and `source`; the rest says how the price was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetPrice {
    /// Dollars for one unit.
    pub price: Decimal,
    /// Time of the price according to the provider, microseconds UTC.
    pub at_us: i64,
    /// Provider of the price.
    #[serde(default)]
    pub source: String,
    /// Why it is this one; absent in values of earlier writers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<FactChoice>,
    /// What each source said last, by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourcePrice>,
    /// A price far from the last one that waits for its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldPrice>,
}

/// What one source says of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePrice {
    /// The provider.
    pub source: String,
    /// Units of `quote` for one unit of the asset, as the provider said.
    pub price: Decimal,
    /// `usd`, or a quote that counts as dollars, such as `usdt`.
    pub quote: String,
    /// Its time according to the provider, microseconds UTC.
    pub at_us: i64,
    /// In dollars, where `quote` was off its peg and is converted by that coin's own price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dollars: Option<Decimal>,
    /// What the last choice made of it.
    pub verdict: SourceVerdict,
}

/// A price that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPrice {
    /// The provider that says it.
    pub source: String,
    /// Dollars for one unit.
    pub price: Decimal,
    /// Time of the provider's first such price, microseconds UTC.
    pub since_us: i64,
}

impl SourcePrice {
    /// Dollars for one unit of the asset.
    #[must_use]
    pub fn dollars(&self) -> &Decimal {
        self.dollars.as_ref().unwrap_or(&self.price)
    }
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
