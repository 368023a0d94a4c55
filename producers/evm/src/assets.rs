//! What is known about tokens (a list) and about prices (the `prices` bucket, which pollers write).

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, Nats};
use crypto_intel_schemas::{Address, Decimal, U256};
use crypto_intel_service::Backoff;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

const BUILT_IN: &str = include_str!("../assets.toml");

/// A token of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asset {
    /// Id under which its price is known; empty where it has none.
    pub(crate) asset: String,
    pub(crate) symbol: String,
    pub(crate) decimals: u8,
    pub(crate) verified: bool,
}

/// The listed tokens of one chain.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssetBook {
    tokens: HashMap<Address, Asset>,
}

/// The whole list.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssetList {
    chains: BTreeMap<String, AssetBook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainTokens {
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    contract: String,
    #[serde(default)]
    asset: String,
    symbol: String,
    decimals: u8,
    #[serde(default = "yes")]
    verified: bool,
}

const fn yes() -> bool {
    true
}

impl AssetList {
    /// Reads the list at `path`, or the built-in one.
    ///
    /// # Errors
    /// When the file cannot be read or is no such list; the error names place and entry.
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Self::parse(BUILT_IN).context("read built-in list of tokens");
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read evm.assets {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("read evm.assets {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let raw: BTreeMap<String, ChainTokens> = toml::from_str(text)?;
        let mut list = Self::default();
        for (chain, tokens) in raw {
            let mut book = AssetBook::default();
            for token in tokens.tokens {
                let contract: Address = token.contract.parse().with_context(|| {
                    format!("read contract {:?} of {chain}: 0x and 40 hex digits", token.contract)
                })?;
                let asset = Asset {
                    asset: token.asset,
                    symbol: token.symbol,
                    decimals: token.decimals,
                    verified: token.verified,
                };
                if asset.decimals > 77 {
                    anyhow::bail!("decimals of {} on {chain}: at most 77", token.contract);
                }
                if book.tokens.insert(contract, asset).is_some() {
                    anyhow::bail!("contract {} of {chain} is listed twice", token.contract);
                }
            }
            list.chains.insert(chain, book);
        }
        Ok(list)
    }

    /// The tokens of a chain.
    pub(crate) fn of_chain(&self, chain: &str) -> AssetBook {
        self.chains.get(chain).cloned().unwrap_or_default()
    }
}

impl AssetBook {
    pub(crate) fn of(&self, contract: &Address) -> Option<&Asset> {
        self.tokens.get(contract)
    }
}

/// A price in US dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Price {
    text: Decimal,
    /// The price is `units` / 10^`scale`, where it fits.
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
    /// The price of an asset at a block's time, unless it is of another time: a block that is caught up is not worth
    /// what it would be now.
    pub(crate) fn of(&self, asset: &str, block_time_us: i64) -> Option<&Price> {
        let price = self.by_asset.get(asset)?;
        (price.at_us.abs_diff(block_time_us) <= self.max_age_us).then_some(price)
    }
}

/// The newest prices, kept up to date from the `prices` bucket.
#[derive(Debug, Clone)]
pub(crate) struct PriceBoard {
    newest: Arc<RwLock<Arc<HashMap<String, Price>>>>,
    max_age_us: u64,
}

#[derive(Deserialize)]
struct PriceEntry {
    price: Decimal,
    at_us: i64,
}

impl PriceBoard {
    pub(crate) fn new(max_age_seconds: u64) -> Self {
        Self { newest: Arc::default(), max_age_us: max_age_seconds.saturating_mul(1_000_000) }
    }

    /// The prices now.
    pub(crate) fn now(&self) -> Prices {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        Prices { by_asset: Arc::clone(&newest), max_age_us: self.max_age_us }
    }

    fn set(&self, asset: String, price: Option<Price>) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
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
        let asset = crypto_intel_nats::unescape_key(&change.key).unwrap_or(change.key);
        let Some(value) = change.value else { return self.set(asset, None) };
        match serde_json::from_slice::<PriceEntry>(&value) {
            Ok(entry) => self.set(asset, Some(Price::new(entry.price, entry.at_us))),
            Err(error) => {
                tracing::warn!(asset, %error, "price in bucket `prices` is unreadable, ignored");
            }
        }
    }

    /// Keeps the board up to date until `shutdown`. Transfers go out without USD meanwhile if the
    /// bucket is not there.
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
    fn the_built_in_list_is_sound() {
        let list = AssetList::load(None).unwrap();
        let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".parse().unwrap();
        let asset = list.of_chain("ethereum").of(&usdc).cloned().unwrap();
        assert_eq!((asset.symbol.as_str(), asset.decimals, asset.verified), ("USDC", 6, true));
        assert!(list.chains.len() >= 16, "every chain of the presets has its stablecoins");
    }

    #[test]
    fn a_bad_list_is_refused_with_its_place() {
        let twice = r#"[a]
            tokens = [
                { contract = "0x4300000000000000000000000000000000000004", symbol = "A", decimals = 1 },
                { contract = "0x4300000000000000000000000000000000000004", symbol = "B", decimals = 1 },
            ]"#;
        assert!(format!("{:#}", AssetList::parse(twice).unwrap_err()).contains("twice"));
        let bad = "[a]\ntokens = [{ contract = \"0x1\", symbol = \"A\", decimals = 1 }]";
        assert!(format!("{:#}", AssetList::parse(bad).unwrap_err()).contains("\"0x1\""));
    }

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
    fn a_price_of_another_time_is_not_used() {
        let board = PriceBoard::new(300);
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
