//! What a unit of a quote is worth in dollars.

use std::collections::BTreeMap;

use crypto_intel_schemas::{AssetPrice, Decimal};

use crate::config::PriceSettings;

/// The quote of prices in dollars.
pub(crate) const DOLLAR: &str = "usd";

/// What one unit of a quote is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rate {
    /// A dollar.
    Dollar,
    /// So many dollars: the coin is off its peg.
    Worth(Decimal),
    /// Not known: the coin was off its peg, and its last price is old.
    Unknown,
}

/// The rates of all quotes that count as dollars.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates(BTreeMap<String, Rate>);

impl Rates {
    pub(super) fn set(&mut self, quote: &str, rate: Rate) {
        self.0.insert(quote.to_owned(), rate);
    }

    /// Whether prices in this quote can be used; one that is not listed is a dollar.
    pub(super) fn is_known(&self, quote: &str) -> bool {
        self.0.get(quote) != Some(&Rate::Unknown)
    }

    /// A price in dollars where that differs from what the source said.
    pub(super) fn converted(&self, quote: &str, price: &Decimal) -> Option<Decimal> {
        match self.0.get(quote) {
            Some(Rate::Worth(worth)) => price.checked_mul(worth),
            _ => None,
        }
    }
}

/// What a stablecoin is worth by its own price. Near its peg it is a dollar: the noise of its price would only blur
/// prices of others. A coin that was off its peg stays so until a price says otherwise.
pub(super) fn rate(own: Option<&AssetPrice>, now_us: i64, settings: &PriceSettings) -> Rate {
    let Some(own) = own else { return Rate::Dollar };
    if near_one(&own.price, settings.peg_tolerance_percent) {
        return Rate::Dollar;
    }
    let fresh_us = i64::from(settings.fresh_seconds).saturating_mul(1_000_000);
    match now_us.saturating_sub(own.at_us) <= fresh_us {
        true => Rate::Worth(own.price.clone()),
        false => Rate::Unknown,
    }
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

    fn rate_at(price: &str, age_seconds: i64) -> Rate {
        let own = AssetPrice {
            price: Decimal::parse(price).unwrap(),
            at_us: NOW - age_seconds * 1_000_000,
            ..AssetPrice::default()
        };
        rate(Some(&own), NOW, &PriceSettings::default())
    }

    #[test]
    fn a_coin_near_its_peg_is_a_dollar_however_old_its_price() {
        assert_eq!(rate(None, NOW, &PriceSettings::default()), Rate::Dollar);
        for price in ["0.9991", "1.009", "1"] {
            assert_eq!(rate_at(price, 9_000), Rate::Dollar, "{price}");
        }
    }

    #[test]
    fn off_its_peg_its_own_price_converts_while_it_is_fresh() {
        assert_eq!(rate_at("0.97", 10), Rate::Worth(Decimal::parse("0.97").unwrap()));
        assert_eq!(rate_at("1.02", 10), Rate::Worth(Decimal::parse("1.02").unwrap()));
        assert_eq!(rate_at("0.97", 301), Rate::Unknown);
        let mut rates = Rates::default();
        rates.set("usdt", rate_at("0.97", 10));
        rates.set("usdc", rate_at("0.9", 9_000));
        let price = Decimal::parse("64000.5").unwrap();
        assert_eq!(rates.converted("usdt", &price).unwrap().as_str(), "62080.485");
        assert_eq!(rates.converted("usd", &price), None);
        assert!(rates.is_known("usdt") && rates.is_known("usd") && !rates.is_known("usdc"));
    }
}
