use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::registry::{Asset, Registry};

/// What a provider calls assets by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdsBy {
    /// The registry's ticker, unless the registry has an id of this provider.
    Ticker,
    /// The registry's id of this provider.
    Registry,
    /// The key of the asset.
    Key,
}

/// The assets that are asked of a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AssetIds {
    /// From the key of an asset to the provider's id.
    pub ids: BTreeMap<String, String>,
    /// From the provider's id to the key of the asset.
    pub of: BTreeMap<String, String>,
}

impl Registry {
    /// The ids that `provider` has for the assets of a list.
    ///
    /// # Errors
    /// An asset that is unknown, listed twice, or without an id of its own at the provider, with the correction.
    pub fn ids_of(&self, provider: &str, by: IdsBy, list: &[String]) -> Result<AssetIds, String> {
        let mut assets = AssetIds::default();
        for key in list {
            let asset = self.asset(key).ok_or_else(|| {
                format!("{key:?} is not in the registry of assets: correct it, or add it to the file of poll.assets")
            })?;
            let id = id_at(asset, provider, by)?;
            if assets.ids.insert(key.clone(), id.to_owned()).is_some() {
                return Err(format!("{key:?} is listed twice: list it once"));
            }
            if let Some(other) = assets.of.insert(id.to_owned(), key.clone()) {
                return Err(format!(
                    "{other:?} and {key:?} would both be {id:?} at the provider: set ids.{provider} of one of them \
                     in the registry of assets, or list one of them"
                ));
            }
        }
        Ok(assets)
    }
}

fn id_at<'a>(asset: &'a Asset, provider: &str, by: IdsBy) -> Result<&'a str, String> {
    let own = asset.ids.get(provider).map(String::as_str);
    match by {
        IdsBy::Key => Ok(&asset.key),
        IdsBy::Ticker => Ok(own.unwrap_or(&asset.ticker)),
        IdsBy::Registry => own.ok_or_else(|| {
            let key = &asset.key;
            format!(
                "{key:?} has no id of {provider}: set assets.{key}.ids.{provider} in the file of poll.assets, \
                 or take it off the list"
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ids(provider: &str, by: IdsBy, list: &[&str]) -> Result<AssetIds, String> {
        let own = r#"
            facts = "ours"
            [assets.false-bitcoin]
            name = "False Bitcoin"
            ticker = "BTC"
        "#;
        let mut registry = Registry::load(None, "poll.assets").unwrap();
        registry.add_text("own.toml", own).unwrap();
        let list: Vec<String> = list.iter().map(|key| (*key).to_owned()).collect();
        registry.ids_of(provider, by, &list)
    }

    #[test]
    fn ids_come_from_the_ticker_the_registry_or_the_key() {
        let by_ticker = ids("kraken", IdsBy::Ticker, &["bitcoin", "ethereum"]).unwrap();
        assert_eq!(by_ticker.ids["bitcoin"], "XBT", "the provider's own id wins");
        assert_eq!(by_ticker.ids["ethereum"], "ETH");
        assert_eq!(by_ticker.of["XBT"], "bitcoin");
        let by_id = ids("coinmarketcap", IdsBy::Registry, &["bitcoin", "ethereum"]).unwrap();
        assert_eq!(by_id.of["1027"], "ethereum");
        let by_key = ids("coingecko", IdsBy::Key, &["usd-coin"]).unwrap();
        assert_eq!(by_key.ids["usd-coin"], "usd-coin");
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused_with_its_correction() {
        let unknown = ids("okx", IdsBy::Ticker, &["bitcoins"]).unwrap_err();
        assert!(unknown.contains("not in the registry") && unknown.contains("poll.assets"));
        let missing = ids("nowhere", IdsBy::Registry, &["bitcoin"]).unwrap_err();
        assert!(missing.contains("assets.bitcoin.ids.nowhere"), "{missing}");
        let twice = ids("okx", IdsBy::Ticker, &["bitcoin", "bitcoin"]).unwrap_err();
        assert!(twice.contains("listed twice"), "{twice}");
        let clash = ids("okx", IdsBy::Ticker, &["bitcoin", "false-bitcoin"]).unwrap_err();
        assert!(clash.contains("both be \"BTC\""), "{clash}");
    }
}
