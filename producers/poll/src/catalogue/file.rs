//! The format of a provider file, documented in the README.

use std::{collections::BTreeMap, num::NonZeroU32};

use crypto_intel_schemas::Kind;
use serde::Deserialize;

use super::assets::AssetsFile;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderFile {
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) documentation: Option<String>,
    #[serde(default)]
    pub(crate) attribution: Option<String>,
    pub(crate) base_url: String,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) key: Option<KeyFile>,
    pub(crate) quota: QuotaFile,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub(crate) assets: Option<AssetsFile>,
    pub(crate) endpoints: Vec<EndpointFile>,
}

/// Where the key goes: exactly one of `header` and `query`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    #[serde(default)]
    pub(crate) header: Option<String>,
    #[serde(default)]
    pub(crate) query: Option<String>,
    #[serde(default)]
    pub(crate) required: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaFile {
    pub(crate) per_minute: NonZeroU32,
    #[serde(default)]
    pub(crate) per_minute_with_key: Option<NonZeroU32>,
    pub(crate) burst: NonZeroU32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointFile {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) query: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) query_jq: BTreeMap<String, String>,
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
    pub(crate) jq: FiltersFile,
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

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FiltersFile {
    pub(crate) events: String,
    #[serde(default)]
    pub(crate) expects: Option<String>,
    #[serde(default)]
    pub(crate) fault: Option<String>,
    pub(crate) example: String,
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
