//! Prices in US dollars, from the bucket `prices`, which pollers write.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, Nats};
use crypto_intel_schemas::{AssetPrice, Decimal, U256};
use crypto_intel_service::Backoff;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

/// A price in US dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Price {
    text: Decimal,
    /// The price as `units` / 10^`scale`, if it fits.
    quick: Option<(u64, u32)>,
    at_us: i64,
}

impl Price {
    fn new(text: Decimal, at_us: i64) -> Self {
        let digits = text.as_str();
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let units = [whole, fraction].concat().parse().ok();
        Self { quick: units.map(|units| (units, fraction.len() as u32)), text, at_us }
    }

    /// When it was so, microseconds UTC.
    pub(crate) fn at_us(&self) -> i64 {
        self.at_us
    }

    /// `value` / 10^`decimals` in US dollars, cut to cents.
    pub(crate) fn value_of(&self, value: U256, decimals: u8) -> Option<Decimal> {
        let quick = || {
            let (units, scale) = self.quick?;
            let value = u128::try_from(value).ok()?;
            let product = value.checked_mul(u128::from(units))?;
            let product_scale = u32::from(decimals) + scale;
            let cut = product_scale.saturating_sub(2);
            let cents = product / 10_u128.checked_pow(cut)?;
            Some(Decimal::from_units(U256::from(cents), (product_scale - cut) as u8))
        };
        quick().or_else(|| Decimal::value_of(value, decimals, &self.text, 2))
    }
}

/// The newest prices that were known at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prices {
    by_asset: Arc<HashMap<String, Price>>,
    max_age_us: u64,
}

impl Prices {
    /// The price of an asset, if it is close enough to the block's time: today's price does not apply to an old block.
    pub(crate) fn of(&self, asset: &str, block_time_us: i64) -> Option<&Price> {
        let price = self.by_asset.get(asset)?;
        (price.at_us.abs_diff(block_time_us) <= self.max_age_us).then_some(price)
    }
}

/// The newest prices, kept up to date from the `prices` bucket.
#[derive(Debug, Clone)]
pub(crate) struct PriceCache {
    newest: Arc<RwLock<Arc<HashMap<String, Price>>>>,
    max_age_us: u64,
}

impl PriceCache {
    pub(crate) fn new(max_age_seconds: u64) -> Self {
        Self { newest: Arc::default(), max_age_us: max_age_seconds.saturating_mul(1_000_000) }
    }

    /// The prices now.
    pub(crate) fn now(&self) -> Prices {
        let newest = self.newest.read();
        Prices { by_asset: Arc::clone(&newest), max_age_us: self.max_age_us }
    }

    fn set(&self, asset: String, price: Option<Price>) {
        let mut newest = self.newest.write();
        let changed = Arc::make_mut(&mut newest);
        match price {
            Some(price) => {
                changed.insert(asset, price);
            }
            None => {
                changed.remove(&asset);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn set_for_test(&self, asset: &str, price: &str, at_us: i64) {
        let price = Decimal::parse(price).map(|price| Price::new(price, at_us)).ok();
        self.set(asset.to_owned(), price);
    }

    fn apply(&self, change: KvChange) {
        let asset = AssetPrice::asset_of_key(&change.key);
        let Some(value) = change.value else { return self.set(asset, None) };
        match serde_json::from_slice::<AssetPrice>(&value) {
            Ok(entry) => self.set(asset, Some(Price::new(entry.price, entry.at_us))),
            Err(error) => {
                tracing::warn!(asset, %error, "price in bucket `prices` is unreadable, ignored");
            }
        }
    }

    /// Keeps the cache up to date until `shutdown`. Without the bucket, transfers are published without USD values.
    pub(crate) async fn watch(self, nats: Nats, shutdown: CancellationToken) {
        let backoff = Backoff::default();
        let mut delays = backoff.delays();
        let mut told = false;
        loop {
            let watched = tokio::select! {
                () = shutdown.cancelled() => return,
                watched = self.watch_once(&nats) => watched,
            };
            if let Err(error) = watched {
                if !told {
                    tracing::warn!(error = %format!("{error:#}"), "no prices: transfers carry no usd value until bucket `prices` can be read");
                    told = true;
                }
            } else {
                delays = backoff.delays();
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delays.next().unwrap_or(backoff.longest)) => {}
            }
        }
    }

    async fn watch_once(&self, nats: &Nats) -> anyhow::Result<()> {
        let bucket = nats.kv(Bucket::Prices).await.context("open bucket prices")?;
        let mut watch = bucket.watch_all().await.context("watch bucket prices")?;
        while let Some(change) = watch.next().await {
            self.apply(change);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn quick_and_wide_values_agree() {
        for price in ["0.999", "64000.5", "0.00000000000123", "1", "123456789012345678.123456"] {
            let decimal = Decimal::parse(price).unwrap();
            let price = Price::new(decimal.clone(), 0);
            for value in [0_u128, 1, 999_999, 1_000_000, 10_u128.pow(24), u128::MAX] {
                for decimals in [0_u8, 6, 18, 77] {
                    let value = U256::from(value);
                    assert_eq!(
                        price.value_of(value, decimals),
                        Decimal::value_of(value, decimals, &decimal, 2),
                        "{value} {decimals} {decimal}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_price_is_read_however_much_stands_beside_it() {
        let board = PriceCache::new(300);
        let golden = include_str!("../../../../schemas/golden/kv/prices.txt");
        for line in golden.lines() {
            let (key, value) = line.split_once(' ').unwrap();
            board.apply(KvChange {
                key: key.to_owned(),
                value: Some(value.as_bytes().to_vec().into()),
                revision: 1,
                stored_at_us: 0,
            });
        }
        let prices = board.now();
        for asset in ["bitcoin", "ethereum", "wrapped bitcoin"] {
            let price = prices.of(asset, 1_729_290_479_000_000).unwrap();
            assert_eq!(price.text.as_str(), "64000.5", "{asset}");
        }
    }

    #[test]
    fn a_price_of_another_time_is_not_used() {
        let board = PriceCache::new(300);
        board.set_for_test("gold", "2", 1_000_000_000);
        let prices = board.now();
        for (block_time_us, is_used) in [
            (1_000_000_000, true),
            (1_300_000_000, true),
            (1_300_000_001, false),
            (700_000_000, true),
            (699_999_999, false),
            (i64::MIN, false),
        ] {
            assert_eq!(prices.of("gold", block_time_us).is_some(), is_used, "{block_time_us}");
        }
        assert!(prices.of("unknown", 1_000_000_000).is_none());
    }
}
