use std::collections::BTreeMap;

use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{AssetPrice, Decimal, Event, Price};
use crypto_intel_service::now_us;

use crate::{config::PriceSettings, metrics::Metrics};

/// The quote of prices in dollars.
const DOLLAR: &str = "usd";
/// A price of the proving asset that is older than this proves nothing, microseconds.
const PROOF_AGE_US: i64 = 3_600_000_000;
/// Attempts to write a price while other instances write it too.
const WRITE_ATTEMPTS: usize = 4;

/// Writes prices into the bucket after their events were acknowledged.
#[derive(Debug)]
pub(crate) struct PriceWriter {
    nats: Nats,
    settings: PriceSettings,
    metrics: Metrics,
    bucket: Option<Kv>,
    /// Quotes that are known to be off their peg, so that each is logged once.
    off_peg: BTreeMap<String, bool>,
}

impl PriceWriter {
    pub(crate) fn new(nats: Nats, settings: PriceSettings, metrics: Metrics) -> Self {
        Self { nats, settings, metrics, bucket: None, off_peg: BTreeMap::new() }
    }

    /// Offers the prices among the events. A failed write is logged, and the next answer repeats it.
    pub(crate) async fn offer(&mut self, events: &[Event]) {
        let prices: Vec<&Price> = events
            .iter()
            .filter_map(|event| match event {
                Event::Price(price) => Some(price),
                _ => None,
            })
            .collect();
        let mut is_dollar: BTreeMap<&str, bool> = BTreeMap::new();
        for price in &prices {
            if !is_dollar.contains_key(price.quote.as_str()) {
                let answer = self.is_dollar(&price.quote).await;
                is_dollar.insert(&price.quote, answer);
            }
        }
        for price in prices {
            let result = if is_dollar.get(price.quote.as_str()) == Some(&true) {
                self.write(price).await
            } else {
                Ok("not_dollars")
            };
            let label = result.unwrap_or_else(|error| {
                self.bucket = None;
                tracing::warn!(
                    asset = price.asset,
                    error = %format!("{error:#}"),
                    "cannot write price, the next answer repeats it"
                );
                "failed"
            });
            self.metrics.prices.with_label_values(&[price.source.as_str(), label]).inc();
        }
    }

    async fn is_dollar(&mut self, quote: &str) -> bool {
        if quote == DOLLAR {
            return true;
        }
        let Some(asset) = self.settings.dollar_quotes.get(quote).cloned() else { return false };
        let proof = match self.read(&asset).await {
            Ok(proof) => proof.map(|(price, _)| price),
            Err(_) => None,
        };
        let off = proof.as_ref().is_some_and(|proof| {
            proof.source != quote
                && now_us().saturating_sub(proof.at_us) < PROOF_AGE_US
                && !near_one(&proof.price, self.settings.peg_tolerance_percent)
        });
        if self.off_peg.insert(quote.to_owned(), off).unwrap_or(false) != off {
            let price = proof.map(|proof| proof.price.to_string()).unwrap_or_default();
            if off {
                tracing::warn!(
                    quote,
                    asset,
                    price,
                    "quote is not worth a dollar, its prices are not used for dollars"
                );
            } else {
                tracing::info!(quote, asset, price, "quote is worth a dollar again");
            }
        }
        !off
    }

    async fn write(&mut self, price: &Price) -> Result<&'static str, KvError> {
        let offered = AssetPrice {
            price: price.price.clone(),
            at_us: price.event_at_us,
            source: price.source.clone(),
        };
        let key = AssetPrice::key(&price.asset);
        let value = serde_json::to_vec(&offered).unwrap_or_default();
        for _ in 0..WRITE_ATTEMPTS {
            let current = self.read(&price.asset).await?;
            let (known, revision) = match &current {
                Some((known, revision)) => (Some(known), Some(*revision)),
                None => (None, None),
            };
            if !wins(known, &offered, now_us(), &self.settings) {
                return Ok("kept_other");
            }
            let bucket = self.bucket().await?;
            let written = match revision {
                Some(revision) => bucket.update(&key, value.clone(), revision).await,
                None => bucket.create(&key, value.clone()).await,
            };
            match written {
                Ok(_) => return Ok("written"),
                Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok("kept_other")
    }

    /// The price of an asset in the bucket with its revision. An unreadable one counts as very old.
    async fn read(&mut self, asset: &str) -> Result<Option<(AssetPrice, u64)>, KvError> {
        let Some(entry) = self.bucket().await?.get(&AssetPrice::key(asset)).await? else {
            return Ok(None);
        };
        let price = serde_json::from_slice(&entry.value).unwrap_or_default();
        Ok(Some((price, entry.revision)))
    }

    async fn bucket(&mut self) -> Result<Kv, KvError> {
        if let Some(bucket) = &self.bucket {
            return Ok(bucket.clone());
        }
        let bucket = self.nats.kv(Bucket::Prices).await?;
        self.bucket = Some(bucket.clone());
        Ok(bucket)
    }
}

/// Whether the offered price replaces the known one.
fn wins(
    known: Option<&AssetPrice>,
    offered: &AssetPrice,
    now_us: i64,
    settings: &PriceSettings,
) -> bool {
    let Some(known) = known else { return true };
    if known.source == offered.source {
        return offered.at_us > known.at_us;
    }
    let fresh_us = i64::from(settings.fresh_seconds).saturating_mul(1_000_000);
    let fresh = |price: &AssetPrice| now_us.saturating_sub(price.at_us) <= fresh_us;
    let rank = |price: &AssetPrice| {
        let place = settings.preference.iter().position(|name| *name == price.source);
        place.unwrap_or(usize::MAX)
    };
    if fresh(offered) && rank(offered) < rank(known) {
        return true;
    }
    if fresh(known) && rank(known) < rank(offered) {
        return false;
    }
    offered.at_us > known.at_us
}

/// Whether a price is within this many percent of 1. Floating point is exact enough for a peg.
fn near_one(price: &Decimal, tolerance_percent: u32) -> bool {
    (price.to_f64() - 1.0).abs() * 100.0 <= f64::from(tolerance_percent)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW: i64 = 1_700_000_000_000_000;

    fn price(source: &str, age_seconds: i64) -> AssetPrice {
        AssetPrice {
            price: Decimal::parse("1.5").unwrap(),
            at_us: NOW - age_seconds * 1_000_000,
            source: source.to_owned(),
        }
    }

    fn wins_over(known: &AssetPrice, offered: &AssetPrice) -> bool {
        wins(Some(known), offered, NOW, &PriceSettings::default())
    }

    #[test]
    fn of_one_provider_the_newer_price_wins() {
        assert!(wins(None, &price("x", 9_000), NOW, &PriceSettings::default()));
        assert!(wins_over(&price("binance", 60), &price("binance", 30)));
        assert!(!wins_over(&price("binance", 30), &price("binance", 60)));
        assert!(!wins_over(&price("binance", 30), &price("binance", 30)), "nothing to write");
    }

    #[test]
    fn the_preferred_provider_wins_while_it_is_fresh() {
        assert!(!wins_over(&price("binance", 200), &price("coingecko", 1)));
        assert!(wins_over(&price("binance", 301), &price("coingecko", 1)));
        assert!(wins_over(&price("coingecko", 1), &price("binance", 200)));
        assert!(!wins_over(&price("coingecko", 1), &price("binance", 301)));
        assert!(wins_over(&price("coingecko", 900), &price("binance", 600)), "newer of two old");
    }

    #[test]
    fn providers_without_a_preference_come_last_and_among_them_the_newest_wins() {
        assert!(!wins_over(&price("coingecko", 100), &price("other", 1)));
        assert!(wins_over(&price("other", 100), &price("another", 1)));
        assert!(!wins_over(&price("other", 1), &price("another", 100)));
    }

    #[test]
    fn a_peg_holds_within_the_tolerance() {
        let near = |text: &str| near_one(&Decimal::parse(text).unwrap(), 1);
        assert!(near("0.9991") && near("1.009") && near("1"));
        assert!(!near("0.97") && !near("1.02"));
    }
}
