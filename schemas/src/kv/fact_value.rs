use serde::{Deserialize, Serialize};

use crate::{kinds::Kind, kv::key::escape_key, types::decimal::Decimal};

/// The value of an index or metric that is used, and what every source says: a value of the bucket `facts`, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactValue {
    /// What it is, such as `metric gas.fast of ethereum`.
    pub fact: String,
    /// The value that is used.
    pub value: Decimal,
    /// Its unit; absent for an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Time of the value according to the provider, microseconds UTC.
    pub at_us: i64,
    /// Provider of the value.
    pub source: String,
    /// Why it is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<FactChoice>,
    /// What each source said last, by its name.
    pub sources: Vec<SourceValue>,
    /// A value far from the last one that waits for its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldValue>,
}

/// What one source says of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceValue {
    /// The provider.
    pub source: String,
    /// Its value.
    pub value: Decimal,
    /// Its time according to the provider, microseconds UTC.
    pub at_us: i64,
    /// What the last choice made of it.
    pub verdict: SourceVerdict,
}

/// A value that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldValue {
    /// The provider that says it.
    pub source: String,
    /// Its value.
    pub value: Decimal,
    /// Time of the provider's first such value, microseconds UTC.
    pub since_us: i64,
}

/// Why a value is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactChoice {
    /// No other source is fresh.
    Only,
    /// The first of the order of preference among the acceptable ones.
    Preferred,
    /// The median of the acceptable ones.
    Median,
    /// The highest that two of the acceptable ones confirm.
    Highest,
    /// No source is fresh: the newest of what is known.
    Newest,
    /// Nothing new is acceptable: the last value stays, with its own time.
    Kept,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a choice made of what a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceVerdict {
    /// It is the value.
    Used,
    /// It could have been used.
    Accepted,
    /// Too old, while another one is fresh.
    Stale,
    /// Too far from the median, around which most of the fresh ones are.
    Outlier,
    /// Too far from the last value, without confirmation.
    Jump,
    /// Of a price: its quote is off its peg, and what that coin is worth now is not known.
    OffPeg,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl FactValue {
    /// The key of what events of this kind, key and unit tell: `metric.gas.fast/ethereum.gwei`, `index.fear-greed`.
    #[must_use]
    pub fn key(kind: Kind, key: &str, unit: Option<&str>) -> String {
        let unit = unit.map(|unit| format!(".{unit}")).unwrap_or_default();
        escape_key(&format!("{kind}.{key}{unit}"))
    }
}
