//! What the bucket `watchlist` holds: addresses that people want to hear of. Keys are `<chain>.<address>`: the
//! chain's slug, or `_all` for every chain, and the address as [`AccountAddress`] writes it. Values are [`WatchEntry`] as
//! JSON.

use serde::{Deserialize, Serialize};

use crate::{
    subjects::forms as subjects,
    types::{account_address::AccountAddress, text::is_printable},
};

/// The first part of the key of an entry that counts on every chain; no chain slug has an underscore.
const EVERY_CHAIN: &str = "_all";
const MAX_LABEL_CHARS: usize = 64;
const MAX_TAGS: usize = 8;
const MAX_NOTES_CHARS: usize = 500;

/// What a watched address is, as people call it. It changes nothing in what is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchKind {
    /// An account of a person or an organisation.
    #[default]
    Wallet,
    /// A token's contract.
    Token,
    /// A DEX pool.
    Pool,
    /// Any other contract.
    Contract,
}

impl WatchKind {
    fn is_wallet(&self) -> bool {
        *self == Self::Wallet
    }

    /// The text in the bucket and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Token => "token",
            Self::Pool => "pool",
            Self::Contract => "contract",
        }
    }
}

impl std::str::FromStr for WatchKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [Self::Wallet, Self::Token, Self::Pool, Self::Contract];
        kinds
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no kind: use wallet, token, pool or contract"))
    }
}

/// The value of a key of the bucket `watchlist`, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchEntry {
    /// What events call it; without one they show the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it has in common with others; events carry them with `#` before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What it is; absent for a wallet, as most are.
    #[serde(default, skip_serializing_if = "WatchKind::is_wallet")]
    pub kind: WatchKind,
    /// The group that it belongs to; events carry it with `@` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whose it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Remarks, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// When it was added, microseconds UTC.
    #[serde(default)]
    pub added_at_us: i64,
}

impl WatchEntry {
    /// Checks what people wrote.
    ///
    /// # Errors
    /// One sentence that names what is wrong and how to correct it.
    pub fn validate(&self) -> Result<(), String> {
        let texts = self.label.iter().chain(&self.group).chain(&self.owner).chain(&self.tags);
        for text in texts {
            let length = text.chars().count();
            if length == 0 || length > MAX_LABEL_CHARS || !text.chars().all(is_printable) {
                return Err(format!(
                    "{text:?} cannot be a label, group, owner or tag: use 1 to {MAX_LABEL_CHARS} printable characters"
                ));
            }
        }
        if let Some(notes) = &self.notes {
            let length = notes.chars().count();
            let is_text = |character: char| is_printable(character) || character == '\n';
            if length == 0 || length > MAX_NOTES_CHARS || !notes.chars().all(is_text) {
                return Err(format!("notes have 1 to {MAX_NOTES_CHARS} printable characters"));
            }
        }
        if self.tags.len() > MAX_TAGS {
            return Err(format!("{} tags are too many: use at most {MAX_TAGS}", self.tags.len()));
        }
        Ok(())
    }

    /// Whether it says the same as another, whenever it was added.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let timeless = |entry: &Self| Self { added_at_us: 0, ..entry.clone() };
        timeless(self) == timeless(other)
    }

    /// What `watched` of an event says of it: its label, else its address; then its tags and its group.
    #[must_use]
    pub fn labels(&self, address: &AccountAddress) -> Vec<String> {
        let label = self.label.clone().unwrap_or_else(|| address.to_string());
        let tags = self.tags.iter().map(|tag| format!("#{tag}"));
        let group = self.group.iter().map(|group| format!("@{group}"));
        std::iter::once(label).chain(tags).chain(group).collect()
    }
}

/// Where an address is watched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchChain {
    /// On every chain.
    All,
    /// On the chain with this slug.
    One(String),
}

impl WatchChain {
    /// `all` or a chain's slug.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::All => "all",
            Self::One(slug) => slug,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::All => EVERY_CHAIN,
            Self::One(slug) => slug,
        }
    }
}

impl std::str::FromStr for WatchChain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            slug if subjects::is_chain_slug(slug) => Ok(Self::One(slug.to_owned())),
            _ => Err(format!(
                "{text:?} is no chain: use `all` or a slug of 1 to 32 of the characters a-z, 0-9 and -"
            )),
        }
    }
}

/// One watched address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Where.
    pub chain: WatchChain,
    /// What.
    pub address: AccountAddress,
    /// How people call it.
    pub entry: WatchEntry,
}

impl Watched {
    /// The key of an address in the bucket.
    #[must_use]
    pub fn key(chain: &WatchChain, address: &AccountAddress) -> String {
        format!("{}.{address}", chain.key())
    }

    /// Chain and address of a key; `None` for what [`key`](Self::key) never makes.
    #[must_use]
    pub fn read_key(key: &str) -> Option<(WatchChain, AccountAddress)> {
        let (chain, address) = key.split_once('.')?;
        let chain = match chain {
            EVERY_CHAIN => WatchChain::All,
            slug if subjects::is_chain_slug(slug) => WatchChain::One(slug.to_owned()),
            _ => return None,
        };
        Some((chain, address.parse().ok()?))
    }

    /// Reads an entry of the bucket; anybody may have written it.
    ///
    /// # Errors
    /// What is wrong with the key or the value.
    pub fn read(key: &str, value: &[u8]) -> Result<Self, String> {
        let (chain, address) =
            Self::read_key(key).ok_or_else(|| "key is not <chain>.<address>".to_owned())?;
        let entry: WatchEntry =
            serde_json::from_slice(value).map_err(|error| format!("value: {error}"))?;
        entry.validate()?;
        Ok(Self { chain, address, entry })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keys_are_read_back() {
        for bytes in [&[0xab; 20][..], &[0xab; 32]] {
            let address = AccountAddress::from_slice(bytes).unwrap();
            for chain in [WatchChain::All, WatchChain::One("base".to_owned())] {
                let key = Watched::key(&chain, &address);
                assert_eq!(Watched::read_key(&key), Some((chain, address)));
            }
        }
        for bad in ["base", "base.0x12", "_some.0xabababababababababababababababababababab", "."] {
            assert_eq!(Watched::read_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn labels_of_strangers_are_not_taken() {
        let key = Watched::key(&WatchChain::All, &AccountAddress::ZERO);
        for value in ["", "5", r#"{"label":""}"#, r#"{"label":"a\u0007b"}"#, r#"{"kind":"cat"}"#] {
            assert!(Watched::read(&key, value.as_bytes()).is_err(), "{value}");
        }
        let value = br#"{"tags":["cold"],"group":"desk","kind":"wallet","later":1}"#;
        let entry = Watched::read(&key, value).unwrap().entry;
        let labels = entry.labels(&AccountAddress::ZERO);
        assert_eq!(labels, ["0x0000000000000000000000000000000000000000", "#cold", "@desk"]);
    }
}
