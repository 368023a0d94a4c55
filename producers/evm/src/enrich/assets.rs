//! The list of known tokens.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::Context as _;
use crypto_intel_schemas::Address;
use serde::Deserialize;

const BUILT_IN: &str = include_str!("../../assets.toml");

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
    /// Reads the list at `path`, or the built-in one.
    ///
    /// # Errors
    /// When the file cannot be read or is not such a list; the error names position and entry.
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

    /// The tokens of a chain.
    pub(crate) fn of_chain(&self, chain: &str) -> AssetRegistry {
        self.chains.get(chain).cloned().unwrap_or_default()
    }
}

impl AssetRegistry {
    pub(crate) fn of(&self, contract: &Address) -> Option<&Asset> {
        self.tokens.get(contract)
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
