//! What the buckets of prices and facts hold, for people.

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{AssetPrice, Decimal, FactChoice, FactValue, SourceVerdict};
use serde::Serialize;

use super::{
    fact,
    families::{Families, INDEX},
    pegs::DOLLAR,
};
use crate::config::Config;

/// A fact: the value that is used, and what every source says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactReport {
    /// What it is, such as `price of bitcoin/usd` or `metric gas.fast of ethereum`.
    pub fact: String,
    /// The value that is used.
    pub value: Decimal,
    /// Its unit; absent for an index.
    pub unit: Option<String>,
    /// Provider of the value.
    pub source: String,
    /// Time of the value according to the provider, microseconds UTC.
    pub at_us: i64,
    /// Why it is this one; absent in values of earlier writers.
    pub how: Option<FactChoice>,
    /// What each source said last, by its name.
    pub sources: Vec<SourceReport>,
}

/// What one source says of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// The provider.
    pub source: String,
    /// What it said.
    pub value: Decimal,
    /// The unit that it said it in.
    pub unit: Option<String>,
    /// Its time according to the provider, microseconds UTC.
    pub at_us: i64,
    /// What the last choice made of it.
    pub verdict: SourceVerdict,
}

/// The facts of a kind (`price`, `index`, `metric`) and key that the buckets hold, by name: all where neither is given.
/// A key is that of the event, or a part of it: `gas.fast/ethereum`, `gas.fast`, `ethereum`, `bitcoin`.
///
/// # Errors
/// When a bucket cannot be read, or holds what is no fact.
pub async fn fact_reports(
    nats: &Nats,
    kind: Option<&str>,
    key: Option<&str>,
) -> anyhow::Result<Vec<FactReport>> {
    let mut reports = Vec::new();
    let prices = nats.kv(Bucket::Prices).await.context("open bucket of prices")?;
    for (key, entry) in prices.entries("").await.context("read prices")? {
        let price = serde_json::from_slice(&entry.value);
        let price = price.with_context(|| format!("read price {key}"))?;
        reports.push(FactReport::of_price(&AssetPrice::asset_of_key(&key), price));
    }
    let facts = nats.kv(Bucket::Facts).await.context("open bucket of facts")?;
    for (key, entry) in facts.entries("").await.context("read facts")? {
        let value = serde_json::from_slice(&entry.value);
        reports.push(FactReport::of_fact(value.with_context(|| format!("read fact {key}"))?));
    }
    reports.retain(|report| is_asked_for(&report.fact, kind, key));
    reports.sort_by(|one, two| (&one.fact, &one.unit).cmp(&(&two.fact, &two.unit)));
    Ok(reports)
}

/// Age above which a value of a fact is not used while another one is younger, seconds.
#[must_use]
pub fn fresh_seconds(config: &Config, fact: &str) -> u32 {
    let name = match fact.split_once(' ') {
        Some(("price", _)) => return config.prices.fresh_seconds,
        Some(("metric", rest)) => rest.split_once(" of ").map_or(rest, |(name, _)| name),
        _ => INDEX,
    };
    Families::new(&config.facts.families).fresh_seconds(name)
}

fn is_asked_for(fact: &str, kind: Option<&str>, key: Option<&str>) -> bool {
    let mut parts = fact.split([' ', '/']);
    let is_of_kind = parts.next().is_some_and(|own| kind.is_none_or(|kind| kind == own));
    let is_of_key = |key: &str| {
        let whole = fact.split_once(' ').map_or(fact, |(_, whole)| whole);
        let whole = whole.strip_prefix("of ").unwrap_or(whole);
        whole == key || whole.replace(" of ", "/") == key || parts.clone().any(|own| own == key)
    };
    is_of_kind && key.is_none_or(is_of_key)
}

impl FactReport {
    fn of_price(asset: &str, price: AssetPrice) -> Self {
        let sources = price.sources.into_iter().map(|said| SourceReport {
            source: said.source,
            value: said.price,
            unit: Some(said.quote),
            at_us: said.at_us,
            verdict: said.verdict,
        });
        Self {
            fact: fact::price_of(asset),
            value: price.price,
            unit: Some(DOLLAR.to_owned()),
            source: price.source,
            at_us: price.at_us,
            how: price.how,
            sources: sources.collect(),
        }
    }

    fn of_fact(value: FactValue) -> Self {
        let unit = value.unit;
        let sources = value.sources.into_iter().map(|said| SourceReport {
            source: said.source,
            value: said.value,
            unit: unit.clone(),
            at_us: said.at_us,
            verdict: said.verdict,
        });
        Self {
            fact: value.fact,
            value: value.value,
            sources: sources.collect(),
            unit,
            source: value.source,
            at_us: value.at_us,
            how: value.how,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_found_by_its_key_or_a_part_of_it() {
        let fact = "metric gas.fast of ethereum";
        for key in ["gas.fast/ethereum", "gas.fast of ethereum", "gas.fast", "ethereum"] {
            assert!(is_asked_for(fact, Some("metric"), Some(key)), "{key}");
        }
        assert!(is_asked_for("price of bitcoin/usd", None, Some("bitcoin/usd")));
        assert!(!is_asked_for("price of wrapped-bitcoin/usd", None, Some("bitcoin")));
        assert!(!is_asked_for(fact, Some("index"), None));
    }
}
