use serde::{Deserialize, Serialize};

use crate::{
    kv::key::{escape_key, unescape_key},
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
    pub how: Option<PriceChoice>,
    /// What each source said last, by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourcePrice>,
    /// A price far from the last one that waits for its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldPrice>,
}

/// Why a price is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceChoice {
    /// No other source is fresh.
    Only,
    /// The first of the order of preference among the acceptable ones.
    Preferred,
    /// The median of the acceptable ones.
    Median,
    /// No source is fresh: the newest of what is known.
    Newest,
    /// Nothing new is acceptable: the last price stays, with its own time.
    Kept,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
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
    pub verdict: PriceVerdict,
}

/// What a choice made of a source's price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceVerdict {
    /// It is the price.
    Used,
    /// It could have been used.
    Accepted,
    /// Too old, while another one is fresh.
    Stale,
    /// Too far from the median, around which most of the fresh ones are.
    Outlier,
    /// Too far from the last price, without confirmation.
    Jump,
    /// Its quote is off its peg, and what that coin is worth now is not known.
    OffPeg,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
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
