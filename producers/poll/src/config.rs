use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    path::PathBuf,
};

use crypto_intel_service::{Address, Secret};
use reqwest::Url;
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
    /// Which facts have to be known.
    pub facts: FactSettings,
    /// The past of endpoints that have one, such as candles.
    pub history: HistorySettings,
    /// Assets that producers of this configuration price; filled in by the process.
    #[serde(skip)]
    pub used_assets: BTreeSet<String>,
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
            facts: FactSettings::default(),
            history: HistorySettings::default(),
            used_assets: BTreeSet::new(),
            user_agent: concat!("crypto-intel/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl Config {
    /// Hosts that the operator has named, which may be inside.
    pub(crate) fn named_hosts(&self) -> impl Iterator<Item = String> {
        let own = |settings: &ProviderSettings| {
            let endpoints = settings.endpoints.values().map(|endpoint| endpoint.base_url.clone());
            let all = endpoints.chain([settings.base_url.clone()]);
            all.flatten().collect::<Vec<Address>>()
        };
        let addresses = self.providers.values().flat_map(own);
        addresses.filter_map(|address| {
            address.expose().parse::<Url>().ok()?.host_str().map(str::to_owned)
        })
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
    /// Further keys, of other accounts of yours: when one is used up or refused, the next is taken.
    pub keys: Vec<Secret>,
    /// Another address with the same API, such as a paid plan's host.
    pub base_url: Option<Address>,
    /// Parameters of the provider, such as its list of assets; each replaces the one of that name in
    /// the file.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Assets that are asked for, by their keys in the registry; not set: as in its file.
    pub assets: Option<Vec<String>>,
    /// Seconds between polls, for all its endpoints; not set: as in its file.
    pub every_seconds: Option<u32>,
    /// What differs for one endpoint, by its name; the name of an endpoint with `each` stands for all its entries.
    pub endpoints: BTreeMap<String, EndpointSettings>,
    /// Units of weight in any second with one key, such as those of your plan; not set: as in its file.
    pub per_second: Option<u32>,
    /// The same in any minute.
    pub per_minute: Option<u32>,
    /// The same in a day of UTC.
    pub per_day: Option<u32>,
    /// The same in a calendar month of UTC.
    pub per_month: Option<u32>,
}

impl ProviderSettings {
    /// Every key that is there.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.key).chain(&self.keys).filter(|key| !key.is_empty())
    }
}

/// Which facts have to be known, and how what several sources say of indices and metrics is compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FactSettings {
    /// Names of facts, such as `price of bitcoin/usd` or `metric gas.fast of ethereum`. Empty: the
    /// prices of assets that EVM chains of this configuration use; without such a chain the prices that
    /// more than one provider gives. Without a fresh source of one of them the process is not ready.
    pub required: Vec<String>,
    /// What differs from the built-in rules (`docs/facts.md`), by `index` or the beginning of a metric's name, such as
    /// `gas` or `network.height`; the longest one counts.
    pub families: BTreeMap<String, FamilySettings>,
}

/// How what several sources say of the indices or metrics of a family is compared; not set: as built in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FamilySettings {
    /// Which of several acceptable values is used.
    pub choose: Option<ChooseFact>,
    /// For `preference`: providers, the first one first; others come last, the newest value first.
    pub preference: Option<Vec<String>>,
    /// Age above which a value is not used while another one is younger, seconds.
    pub fresh_seconds: Option<u32>,
    /// Distance from the median of the fresh values above which one is an outlier, percent, where most
    /// of them are nearer; within it two values confirm each other.
    pub outlier_percent: Option<NonZeroU32>,
    /// Change against the last value that a second provider has to confirm, percent; 0: none.
    pub jump_percent: Option<u32>,
    /// How long the only provider has to repeat such a change, seconds.
    pub jump_seconds: Option<u32>,
    /// Whether it never falls while its last value is fresh.
    pub monotonic: Option<bool>,
}

/// Which of several acceptable values of an index or metric is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChooseFact {
    /// The median of them; of an even number the lower of the two middle ones.
    #[default]
    Median,
    /// The highest that two of them confirm, for heads of chains.
    Highest,
    /// The first by `preference`.
    Preference,
}

/// How much of the past of endpoints is fetched, beside live polling and out of what it leaves of each quota.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HistorySettings {
    /// How many days back; 0: none, but for what `providers history` asks for.
    pub days: u32,
    /// Providers, such as `binance`, or endpoints, such as `binance/ticker-24h`, whose past is fetched; empty: all that
    /// are polled and have one.
    pub only: Vec<String>,
}

/// What differs for one endpoint of a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointSettings {
    /// Whether it is polled, if its provider is; not set: it is.
    pub enabled: Option<bool>,
    /// Seconds between polls; not set: as for its provider.
    pub every_seconds: Option<u32>,
    /// Another address with the same API; not set: that of its provider, or of its own in the file.
    pub base_url: Option<Address>,
}

/// Which prices go into the bucket from which transfers get their value in dollars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PriceSettings {
    /// Which of several acceptable prices is used.
    pub choose: ChoosePrice,
    /// When several providers price one asset, the first of these whose price is fresh and acceptable
    /// wins; providers that are not listed come last, the newest price first.
    pub preference: Vec<String>,
    /// Age above which a price is not used while another one is younger, seconds.
    pub fresh_seconds: u32,
    /// Distance from the median of the fresh prices above which one is an outlier, percent, where most
    /// of them are nearer; within it two prices confirm each other.
    pub outlier_percent: NonZeroU32,
    /// Change against the last price that a second provider has to confirm, percent; 0: none.
    pub jump_percent: u32,
    /// How long the only provider has to repeat such a change, seconds.
    pub jump_seconds: u32,
    /// Quotes that count as dollars, each with the asset that proves it: while that asset's own price
    /// is not near 1, prices in this quote are converted by it.
    pub dollar_quotes: BTreeMap<String, String>,
    /// How far from 1 that price may be, percent.
    pub peg_tolerance_percent: u32,
}

/// Which of several acceptable prices is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChoosePrice {
    /// The first by `preference`.
    #[default]
    Preference,
    /// The median of them; of an even number the lower of the two middle ones.
    Median,
}

impl Default for PriceSettings {
    fn default() -> Self {
        let quotes = [("usdt", "tether"), ("usdc", "usd-coin")];
        Self {
            choose: ChoosePrice::default(),
            // Venues that quote in dollars, then the deepest one that quotes in a coin, then what knows all assets.
            preference: ["coinbase_exchange", "kraken", "binance", "coingecko"]
                .map(str::to_owned)
                .to_vec(),
            fresh_seconds: 300,
            outlier_percent: NonZeroU32::MIN.saturating_add(4),
            jump_percent: 20,
            jump_seconds: 60,
            dollar_quotes: quotes.map(|(quote, asset)| (quote.to_owned(), asset.to_owned())).into(),
            peg_tolerance_percent: 1,
        }
    }
}
