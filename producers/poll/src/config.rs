use std::{collections::BTreeMap, path::PathBuf};

use crypto_intel_service::{Address, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which APIs are polled, and how their prices are used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether this role runs at all.
    pub enabled: bool,
    /// Folder with further provider files (`*.toml`); one named like a built-in provider replaces it.
    pub catalogue: Option<PathBuf>,
    /// Names of the providers that are polled; empty: all that need no key or have one, but for those
    /// whose file or settings say otherwise.
    pub only: Vec<String>,
    /// Assets beside the built-in ones: path to a file of the form of the registry of assets
    /// (`producers/assets/README.md`), perhaps the one of `evm.assets`.
    pub assets: Option<PathBuf>,
    /// What differs from the provider files, by the name of the provider.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Which prices give transfers their value in dollars.
    pub prices: PriceSettings,
    /// `User-Agent` of requests; some providers want contact information in it.
    pub user_agent: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            catalogue: None,
            only: Vec::new(),
            assets: None,
            providers: BTreeMap::new(),
            prices: PriceSettings::default(),
            user_agent: concat!("crypto-intel/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What differs from a provider's file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// Whether it is polled; not set: as in its file.
    pub enabled: Option<bool>,
    /// The key of your account there.
    pub key: Secret,
    /// Another address with the same API, such as a paid plan's host.
    pub base_url: Option<Address>,
    /// Parameters of the provider, such as its list of assets; each replaces the one of that name in
    /// the file.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Assets that are asked for, by their keys in the registry; not set: as in its file.
    pub assets: Option<Vec<String>>,
    /// Seconds between polls, for all its endpoints; not set: as in its file.
    pub every_seconds: Option<u32>,
    /// Requests (or units of weight) per minute; not set: as in its file.
    pub per_minute: Option<u32>,
}

/// Which prices go into the bucket from which transfers get their value in dollars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PriceSettings {
    /// When several providers price one asset, the first of these whose price is fresh wins;
    /// providers that are not listed come last.
    pub preference: Vec<String>,
    /// Age above which any newer price replaces a price, seconds.
    pub fresh_seconds: u32,
    /// Quotes that count as dollars, each with the asset that proves it: while that asset's own price
    /// is known and not near 1, prices in this quote are ignored.
    pub dollar_quotes: BTreeMap<String, String>,
    /// How far from 1 that price may be, percent.
    pub peg_tolerance_percent: u32,
}

impl Default for PriceSettings {
    fn default() -> Self {
        Self {
            preference: vec!["binance".to_owned(), "coingecko".to_owned()],
            fresh_seconds: 300,
            dollar_quotes: BTreeMap::from([("usdt".to_owned(), "tether".to_owned())]),
            peg_tolerance_percent: 1,
        }
    }
}
