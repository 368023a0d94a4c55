//! The format of a provider file, documented in the README.

use std::{collections::BTreeMap, num::NonZeroU32};

use crypto_intel_schemas::Kind;
use serde::{Deserialize, Serialize};

use super::{assets::AssetsFile, history_file::HistoryFile, quota_file::QuotaFile};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderFile {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) category: Category,
    #[serde(default)]
    pub(crate) documentation: Option<String>,
    #[serde(default)]
    pub(crate) attribution: Option<String>,
    /// Source and date of what the file says.
    pub(crate) facts: String,
    pub(crate) base_url: String,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) key: Option<KeyFile>,
    pub(crate) quota: QuotaFile,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// What holds for each endpoint that does not say otherwise.
    #[serde(default)]
    pub(crate) jq: SharedFiltersFile,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub(crate) assets: Option<AssetsFile>,
    pub(crate) endpoints: Vec<EndpointFile>,
}

/// What a provider is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Prices and market figures of many venues.
    Market,
    /// One trading venue.
    Exchange,
    /// Decentralised exchanges and their pools.
    Dex,
    /// Protocols that lend, stake and manage.
    Defi,
    /// Blocks and transactions of chains.
    Explorer,
    /// What a transaction costs.
    Gas,
    /// Figures computed from chains.
    Analytics,
    /// Statistics of a network itself.
    Network,
    /// Articles.
    News,
    /// Moods and indices.
    Sentiment,
    /// Large transfers.
    Whale,
    /// Incidents of services.
    Status,
    /// Nodes of chains.
    Node,
}

impl Category {
    /// The text in a file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Exchange => "exchange",
            Self::Dex => "dex",
            Self::Defi => "defi",
            Self::Explorer => "explorer",
            Self::Gas => "gas",
            Self::Analytics => "analytics",
            Self::Network => "network",
            Self::News => "news",
            Self::Sentiment => "sentiment",
            Self::Whale => "whale",
            Self::Status => "status",
            Self::Node => "node",
        }
    }
}

/// Where the key goes: exactly one of `header`, `query`, `path` and `basic`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    #[serde(default)]
    pub(crate) header: Option<String>,
    /// Before the key in its header.
    #[serde(default)]
    pub(crate) prefix: Option<String>,
    #[serde(default)]
    pub(crate) query: Option<String>,
    #[serde(default)]
    pub(crate) path: bool,
    #[serde(default)]
    pub(crate) basic: bool,
    #[serde(default)]
    pub(crate) required: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointFile {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) base_url: Option<String>,
    #[serde(default)]
    pub(crate) method: Method,
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) path_jq: Option<String>,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) query_jq: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) body_jq: Option<String>,
    #[serde(default)]
    pub(crate) each: Option<String>,
    #[serde(default)]
    pub(crate) format: Format,
    pub(crate) every_seconds: NonZeroU32,
    #[serde(default = "ten_seconds")]
    pub(crate) timeout_ms: u32,
    #[serde(default = "one_mebibyte")]
    pub(crate) max_body_bytes: usize,
    #[serde(default = "one")]
    pub(crate) weight: NonZeroU32,
    #[serde(default)]
    pub(crate) stale_after_seconds: Option<u32>,
    #[serde(default)]
    pub(crate) max_data_age_seconds: Option<u32>,
    #[serde(default)]
    pub(crate) empty: Empty,
    #[serde(default)]
    pub(crate) pages: Option<PagesFile>,
    #[serde(default)]
    pub(crate) history: Option<HistoryFile>,
    pub(crate) jq: FiltersFile,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    #[default]
    Get,
    Post,
}

/// How an answer is read before the filters see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Json,
    /// RSS or Atom.
    Feed,
    /// The whole body as one text.
    Text,
}

/// What an answer without events means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Empty {
    /// A failure, as for prices: nothing that was requested is known there.
    #[default]
    Error,
    /// A valid answer, as for incidents: nothing happened.
    Ok,
}

/// Further pages of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagesFile {
    pub(crate) next_jq: String,
    pub(crate) limit: NonZeroU32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FiltersFile {
    pub(crate) events: String,
    #[serde(default)]
    pub(crate) expects: Option<String>,
    #[serde(default)]
    pub(crate) fault: Option<String>,
    #[serde(default)]
    pub(crate) cost: Option<String>,
    pub(crate) example: String,
}

/// Filters of all endpoints of a provider.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SharedFiltersFile {
    pub(crate) fault: Option<String>,
}

const fn yes() -> bool {
    true
}

const fn ten_seconds() -> u32 {
    10_000
}

const fn one_mebibyte() -> usize {
    1 << 20
}

const fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}
