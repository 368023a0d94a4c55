use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use crypto_intel_schemas::{Address, subjects};

use crate::{
    error::AssetsError,
    file::{AssetFile, RegistryFile, TokenFile},
};

const BUILT_IN: &str = include_str!("../assets.toml");
const BUILT_IN_NAME: &str = "producers/assets/assets.toml";
/// 10^77 is the largest power of ten below 2^256.
const MAX_DECIMALS: u8 = 77;

/// One asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asset {
    /// Its key: CoinGecko's id.
    pub key: String,
    /// Its display name.
    pub name: String,
    /// Its usual symbol, in upper case. Other assets may have the same one.
    pub ticker: String,
    /// What one unit of a stablecoin is meant to be worth, such as `usd`.
    pub peg: Option<String>,
    /// Its ids by the name of the provider, where they are not the ticker.
    pub ids: BTreeMap<String, String>,
    /// Its contracts.
    pub tokens: Vec<Token>,
}

/// A contract whose unit is worth one unit of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Slug of the chain.
    pub chain: String,
    /// Address of the contract.
    pub contract: Address,
    /// Symbol on that chain.
    pub symbol: String,
    /// Decimals on that chain.
    pub decimals: u8,
    /// Whether transfers are marked as those of a token that the list verifies.
    pub verified: bool,
}

/// All known assets.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    assets: BTreeMap<String, Asset>,
    by_id: HashMap<(String, String), String>,
    by_contract: HashMap<(String, Address), String>,
}

impl Registry {
    /// The built-in registry with what the file at `own` adds; `option` is the option that names the file.
    ///
    /// # Errors
    /// When a file cannot be read or an entry is wrong; the error names file, entry and correction.
    pub fn load(own: Option<&Path>, option: &'static str) -> Result<Self, AssetsError> {
        let mut registry = Self::default();
        registry.add_text(BUILT_IN_NAME, BUILT_IN)?;
        if let Some(path) = own {
            let text = std::fs::read_to_string(path).map_err(|source| AssetsError::Read {
                path: path.to_owned(),
                option,
                source,
            })?;
            registry.add_text(&path.display().to_string(), &text)?;
        }
        Ok(registry)
    }

    /// The asset with a key.
    #[must_use]
    pub fn asset(&self, key: &str) -> Option<&Asset> {
        self.assets.get(key)
    }

    /// All assets, by key.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    /// The asset that has this id at a provider.
    #[must_use]
    pub fn by_id(&self, provider: &str, id: &str) -> Option<&Asset> {
        let key = self.by_id.get(&(provider.to_owned(), id.to_owned()))?;
        self.assets.get(key)
    }

    /// The asset whose unit a contract on a chain counts.
    #[must_use]
    pub fn by_contract(&self, chain: &str, contract: Address) -> Option<&Asset> {
        let key = self.by_contract.get(&(chain.to_owned(), contract))?;
        self.assets.get(key)
    }

    /// Adds the entries of a file; `origin` names it in messages.
    ///
    /// # Errors
    /// The first entry that is wrong.
    pub fn add_text(&mut self, origin: &str, text: &str) -> Result<(), AssetsError> {
        let form = |text: String| AssetsError::Form { file: origin.to_owned(), text };
        let file: RegistryFile =
            toml::from_str(text).map_err(|error| form(error.to_string().trim_end().to_owned()))?;
        if file.facts.trim().is_empty() {
            return Err(form("facts is empty: state where the entries come from".to_owned()));
        }
        for (key, entry) in file.assets {
            self.add(&key, entry).map_err(|problem| AssetsError::Entry {
                file: origin.to_owned(),
                asset: key,
                problem,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, key: &str, entry: AssetFile) -> Result<(), String> {
        check_key(key)?;
        let mut asset = match self.assets.get(key) {
            Some(known) => known.clone(),
            None => Asset { key: key.to_owned(), ..Asset::default() },
        };
        replace(&mut asset.name, entry.name, "name")?;
        replace(&mut asset.ticker, entry.ticker, "ticker")?;
        check_ticker(&asset.ticker)?;
        asset.peg = entry.peg.or(asset.peg);
        if let Some(peg) = &asset.peg
            && (peg.is_empty() || !peg.bytes().all(|byte| byte.is_ascii_lowercase()))
        {
            return Err(format!("peg {peg:?} must be a currency in lower case, such as \"usd\""));
        }
        for (provider, id) in entry.ids {
            self.claim_id(key, &provider, &id)?;
            asset.ids.insert(provider, id);
        }
        for token in entry.tokens {
            let token = self.claim_token(key, token)?;
            asset.tokens.push(token);
        }
        self.assets.insert(key.to_owned(), asset);
        Ok(())
    }

    fn claim_id(&mut self, key: &str, provider: &str, id: &str) -> Result<(), String> {
        if id.is_empty() || id.chars().any(char::is_control) {
            return Err(format!("ids.{provider} {id:?} must be a printable text"));
        }
        let place = (provider.to_owned(), id.to_owned());
        match self.by_id.insert(place, key.to_owned()) {
            Some(other) if other != key => Err(format!(
                "ids.{provider} {id:?} is already the id of {other}: an id belongs to one asset"
            )),
            _ => Ok(()),
        }
    }

    fn claim_token(&mut self, key: &str, file: TokenFile) -> Result<Token, String> {
        let TokenFile { chain, contract, symbol, decimals, verified } = file;
        if !subjects::is_chain_slug(&chain) {
            return Err(format!(
                "token {contract}: {chain:?} is no chain slug; use 1 to 32 of the characters a-z, 0-9 and -"
            ));
        }
        let address: Address = contract
            .parse()
            .map_err(|_| format!("contract {contract:?} on {chain}: use 0x and 40 hex digits"))?;
        if decimals > MAX_DECIMALS {
            return Err(format!("decimals of {contract} on {chain}: at most {MAX_DECIMALS}"));
        }
        if let Some(other) = self.by_contract.insert((chain.clone(), address), key.to_owned()) {
            return Err(format!(
                "contract {contract} on {chain} is already a token of {other}: list it once"
            ));
        }
        Ok(Token { chain, contract: address, symbol, decimals, verified })
    }
}

fn replace(field: &mut String, given: Option<String>, name: &str) -> Result<(), String> {
    if let Some(given) = given {
        *field = given;
    }
    match field.trim().is_empty() {
        true => Err(format!("lacks {name}; only an entry of a built-in asset may leave it out")),
        false => Ok(()),
    }
}

/// The form that subjects and events ask of an asset.
fn check_key(key: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    match (1..=64).contains(&key.len()) && key.bytes().all(plain) {
        true => Ok(()),
        false => Err("the key must be 1 to 64 of a-z, 0-9, -, _ and .".to_owned()),
    }
}

fn check_ticker(ticker: &str) -> Result<(), String> {
    let plain = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    match ticker.len() <= 16 && ticker.bytes().all(plain) {
        true => Ok(()),
        false => Err(format!("ticker {ticker:?} must be at most 16 of A-Z, 0-9, ., _ and -")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refusal(text: &str) -> String {
        let mut registry = Registry::load(None, "poll.assets").unwrap();
        registry.add_text("own.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_registry_is_sound() {
        let registry = Registry::load(None, "poll.assets").unwrap();
        assert!(registry.assets().count() >= 60);
        for (key, ticker) in [("bitcoin", "BTC"), ("ethereum", "ETH"), ("ripple", "XRP")] {
            assert_eq!(registry.asset(key).unwrap().ticker, ticker);
        }
        let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48".parse().unwrap();
        assert_eq!(registry.by_contract("ethereum", usdc).unwrap().key, "usd-coin");
        assert_eq!(registry.by_contract("base", usdc), None, "a contract counts on its chain");
        assert_eq!(registry.by_id("kraken", "XBT").unwrap().key, "bitcoin");
        assert_eq!(registry.asset("tether").unwrap().peg.as_deref(), Some("usd"));
    }

    #[test]
    fn contracts_are_written_with_their_checksum() {
        let quoted = BUILT_IN.split('"').filter(|text| text.starts_with("0x") && text.len() == 42);
        for contract in quoted {
            let checked = Address::parse_checksummed(contract, None);
            assert!(checked.is_ok(), "{contract}: {checked:?}");
        }
    }

    #[test]
    fn a_file_of_ones_own_adds_assets_ids_and_tokens() {
        let own = r#"
            facts = "ours"
            [assets.bitcoin]
            ids = { house = "b1" }
            [assets.house-coin]
            name = "House Coin"
            ticker = "HOUSE"
            tokens = [{ chain = "base", contract = "0x00000000000000000000000000000000000000aa", symbol = "HOUSE", decimals = 2, verified = false }]
        "#;
        let mut registry = Registry::load(None, "poll.assets").unwrap();
        registry.add_text("own.toml", own).unwrap();
        assert_eq!(registry.by_id("house", "b1").unwrap().name, "Bitcoin");
        let token = &registry.asset("house-coin").unwrap().tokens[0];
        assert_eq!((token.decimals, token.verified), (2, false));
        assert_eq!(registry.by_contract("base", token.contract).unwrap().ticker, "HOUSE");
    }

    #[test]
    fn a_wrong_entry_is_refused_with_its_place_and_correction() {
        let entry = |text: &str| refusal(&format!("facts = \"ours\"\n{text}"));
        for (text, words) in [
            ("[assets.Bitcoin]\nname = \"B\"\nticker = \"B\"", "must be 1 to 64 of a-z"),
            ("[assets.house]\nticker = \"B\"", "lacks name"),
            ("[assets.house]\nname = \"B\"\nticker = \"b\"", "at most 16 of A-Z"),
            ("[assets.house]\nname = \"B\"\nticker = \"B\"\npeg = \"1\"", "currency in lower case"),
            ("[assets.ethereum]\nids = { kraken = \"XBT\" }", "already the id of bitcoin"),
            (
                "[assets.tether]\ntokens = [{ chain = \"ethereum\", contract = \"0xa0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48\", symbol = \"T\", decimals = 6 }]",
                "already a token of usd-coin",
            ),
            (
                "[assets.tether]\ntokens = [{ chain = \"ethereum\", contract = \"0x1\", symbol = \"T\", decimals = 6 }]",
                "40 hex digits",
            ),
            (
                "[assets.tether]\ntokens = [{ chain = \"E\", contract = \"0x1\", symbol = \"T\", decimals = 6 }]",
                "no chain slug",
            ),
        ] {
            let error = entry(text);
            assert!(error.contains("own.toml: asset ") && error.contains(words), "{error}");
        }
        assert!(refusal("[assets]").contains("facts"));
        assert!(refusal("facts = \"\"\n[assets]").contains("where the entries come from"));
    }
}
