//! Which asset of the registry something on a chain is.

use std::collections::BTreeMap;

use crypto_intel_schemas::Address;

use super::assets::{AssetList, AssetRegistry};
use crate::config::{Config, presets};

/// Keys of the registry of assets by chain and token, as the producers of a configuration use them for dollars.
#[derive(Debug, Clone, Default)]
pub struct AssetKeys {
    chains: BTreeMap<String, ChainKeys>,
}

#[derive(Debug, Clone)]
struct ChainKeys {
    native: String,
    tokens: AssetRegistry,
}

impl AssetKeys {
    /// Of every chain of a configuration.
    ///
    /// # Errors
    /// When the list of tokens cannot be read or is no such list; the error names position and entry.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let list = AssetList::load(config.assets.as_deref())?;
        let of_chain = |(slug, chain): (&String, &crate::ChainConfig)| {
            let tokens = list.of_chain(presets::name_of(slug, chain.preset.as_deref()));
            (slug.clone(), ChainKeys { native: chain.native.asset.clone(), tokens })
        };
        Ok(Self { chains: config.chains.iter().map(of_chain).collect() })
    }

    /// The asset of a token (`None`: the chain's own currency); `None` where it is on no list. A token that is listed but not verified
    /// has none: its price is not what it calls itself.
    #[must_use]
    pub fn key(&self, chain: &str, token: Option<Address>) -> Option<&str> {
        let chain = self.chains.get(chain)?;
        let key = match token {
            None => chain.native.as_str(),
            Some(contract) => {
                let listed = chain.tokens.of(&contract).filter(|asset| asset.verified)?;
                listed.asset.as_str()
            }
        };
        Some(key).filter(|key| !key.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChainConfig;

    #[test]
    fn a_token_is_the_asset_of_its_contract_and_a_stranger_is_none() {
        let mut config = Config::default();
        let mut chain =
            ChainConfig { preset: Some("ethereum".to_owned()), ..ChainConfig::default() };
        chain.native.asset = "ethereum".to_owned();
        config.chains.insert("mainnet".to_owned(), chain);
        let keys = AssetKeys::of(&config).unwrap();
        let usdc = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48".parse().unwrap();
        assert_eq!(keys.key("mainnet", Some(usdc)), Some("usd-coin"));
        assert_eq!(keys.key("mainnet", None), Some("ethereum"));
        assert_eq!(keys.key("mainnet", Some(Address::repeat_byte(1))), None);
        assert_eq!(keys.key("elsewhere", None), None);
    }
}
