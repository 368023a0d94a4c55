//! The list of known tokens.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::Context as _;
use crypto_intel_assets::Registry;
use crypto_intel_schemas::Address;
use serde::Deserialize;

/// The option that names a file of the user's own.
const OPTION: &str = "evm.assets";

/// A token of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asset {
    /// Id under which its price is known; empty where it has none.
    pub(crate) asset: String,
    pub(crate) symbol: String,
    pub(crate) decimals: u8,
    pub(crate) verified: bool,
}

/// A listed token, as other roles are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedToken {
    /// Slug of its chain.
    pub chain: String,
    /// Its contract.
    pub contract: Address,
    /// Id under which its price is known; `None` where it has none.
    pub asset: Option<String>,
    /// Its symbol on that chain.
    pub symbol: String,
    /// Digits after the point of a whole token.
    pub decimals: u8,
    /// Whether transfers are marked as those of a verified token.
    pub verified: bool,
}

/// The listed tokens of one chain.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssetRegistry {
    tokens: HashMap<Address, Asset>,
}

/// The whole list.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssetList {
    chains: BTreeMap<String, AssetRegistry>,
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
    /// The tokens of the registry of assets, with what a file at `path` in the registry's form adds; a list by chain at
    /// `path` takes their place.
    ///
    /// # Errors
    /// When the file cannot be read or has neither form; the error names position and entry.
    pub(crate) fn load(path: Option<&Path>) -> anyhow::Result<Self> {
        let mut registry = Registry::load(None, OPTION)?;
        if let Some(path) = path {
            let place = || format!("read {OPTION} {}", path.display());
            let text = std::fs::read_to_string(path).with_context(place)?;
            if !adds_to_registry(&text) {
                return Self::parse(&text).with_context(place);
            }
            registry.add_text(&path.display().to_string(), &text)?;
        }
        Ok(Self::of_registry(&registry))
    }

    fn of_registry(registry: &Registry) -> Self {
        let mut list = Self::default();
        for asset in registry.assets() {
            for token in &asset.tokens {
                let listed = Asset {
                    asset: asset.key.clone(),
                    symbol: token.symbol.clone(),
                    decimals: token.decimals,
                    verified: token.verified,
                };
                let chain = list.chains.entry(token.chain.clone()).or_default();
                chain.tokens.insert(token.contract, listed);
            }
        }
        list
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let raw: BTreeMap<String, ChainTokens> = toml::from_str(text)?;
        let mut list = Self::default();
        for (chain, tokens) in raw {
            let mut book = AssetRegistry::default();
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

    /// Names of the chains.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &str> {
        self.chains.keys().map(String::as_str)
    }

    /// The tokens of a chain of the list, told as those of the chain `slug`.
    pub(crate) fn listed(&self, slug: &str, chain: &str) -> Vec<ListedToken> {
        let tokens = self.chains.get(chain).into_iter().flat_map(|chain| &chain.tokens);
        tokens
            .map(|(contract, token)| ListedToken {
                chain: slug.to_owned(),
                contract: *contract,
                asset: (!token.asset.is_empty()).then(|| token.asset.clone()),
                symbol: token.symbol.clone(),
                decimals: token.decimals,
                verified: token.verified,
            })
            .collect()
    }

    /// The tokens of a chain.
    pub(crate) fn of_chain(&self, chain: &str) -> AssetRegistry {
        self.chains.get(chain).cloned().unwrap_or_default()
    }
}

/// Whether a file is of the registry's form: assets by key instead of tokens by chain.
fn adds_to_registry(text: &str) -> bool {
    toml::from_str::<toml::Table>(text)
        .is_ok_and(|table| table.contains_key("facts") || table.contains_key("assets"))
}

impl AssetRegistry {
    pub(crate) fn of(&self, contract: &Address) -> Option<&Asset> {
        self.tokens.get(contract)
    }

    /// Assets of the tokens; one may come more than once, and be empty.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.tokens.values().map(|token| token.asset.as_str())
    }

    /// Contracts of the verified tokens.
    pub(crate) fn verified(&self) -> impl Iterator<Item = Address> + '_ {
        self.tokens.iter().filter(|(_, asset)| asset.verified).map(|(contract, _)| *contract)
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
    fn a_file_by_asset_adds_and_a_list_by_chain_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assets.toml");
        let contract = "0x00000000000000000000000000000000000000aa";
        let token = |rest: &str| {
            format!(
                "tokens = [{{ {rest}contract = \"{contract}\", symbol = \"A\", decimals = 1 }}]"
            )
        };
        let by_asset =
            format!("facts = \"ours\"\n[assets.tether]\n{}", token("chain = \"base\", "));
        std::fs::write(&path, by_asset).unwrap();
        let added = AssetList::load(Some(&path)).unwrap();
        let listed = added.of_chain("base").of(&contract.parse().unwrap()).cloned().unwrap();
        assert_eq!(listed.asset, "tether");
        assert!(added.chains.len() >= 16, "the built-in tokens are still there");
        std::fs::write(&path, format!("[base]\n{}", token(""))).unwrap();
        assert_eq!(AssetList::load(Some(&path)).unwrap().chains.len(), 1);
        std::fs::write(&path, "facts = \"ours\"\n[assets.Tether]").unwrap();
        let error = AssetList::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("assets.toml: asset Tether"), "{error}");
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
}
