//! The form of a file, documented in the README.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistryFile {
    /// For people: where the entries come from, and when they were read.
    pub(crate) facts: String,
    pub(crate) assets: BTreeMap<String, AssetFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssetFile {
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) ticker: Option<String>,
    #[serde(default)]
    pub(crate) peg: Option<String>,
    #[serde(default)]
    pub(crate) ids: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) tokens: Vec<TokenFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenFile {
    pub(crate) chain: String,
    pub(crate) contract: String,
    pub(crate) symbol: String,
    pub(crate) decimals: u8,
    #[serde(default = "yes")]
    pub(crate) verified: bool,
}

const fn yes() -> bool {
    true
}
