use std::{collections::BTreeMap, path::PathBuf};

use crypto_intel_service::{Address, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which APIs are polled, and what becomes of their prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether this role runs at all.
    pub enabled: bool,
    /// Folder with further source files (`*.toml`); one named like a built-in source replaces it.
    pub catalogue: Option<PathBuf>,
    /// What differs from the source files, by the name of the source.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Which prices put dollars on transfers.
    pub prices: PriceSettings,
    /// What we call ourselves to the providers (`User-Agent`); some want a way to reach you in it.
    pub user_agent: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            catalogue: None,
            providers: BTreeMap::new(),
            prices: PriceSettings::default(),
            user_agent: concat!("crypto-intel/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What differs from a source's file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// Whether it is polled; not set: as its file says.
    pub enabled: Option<bool>,
    /// The key of your account there.
    pub key: Secret,
    /// Another address with the same API, such as a paid plan's host.
    pub base_url: Option<Address>,
    /// Parameters of the source, such as its list of assets; each replaces the file's one of that
    /// name.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Seconds between polls, for all its endpoints; not set: as its file says.
    pub every_seconds: Option<u32>,
    /// Requests (or units of weight) per minute; not set: as its file says.
    pub per_minute: Option<u32>,
}

/// Which prices go into the bucket that puts dollars on transfers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PriceSettings {
    /// When several sources price one asset, the first of these whose price is fresh wins; sources
    /// that are not listed come last.
    pub preference: Vec<String>,
    /// Age above which a price gives way to any newer one, seconds.
    pub fresh_seconds: u32,
    /// Quotes that are taken for dollars, each with the asset that proves it: while that asset's
    /// own price is known and not near 1, prices in this quote are left out.
    pub dollar_quotes: BTreeMap<String, String>,
    /// How far from 1 that asset may be, percent.
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
