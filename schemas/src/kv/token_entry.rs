use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// What a contract says of itself as a token, cleaned and bounded, but not verified: a value of the bucket `tokens`, as JSON.
/// Without symbol, name and decimals it says that the contract did not answer like a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Its symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digits after the point of a whole token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// When it was asked, microseconds UTC.
    pub at_us: i64,
}

impl TokenEntry {
    /// The key of a token: the slug of its chain and its address.
    #[must_use]
    pub fn key(chain: &str, token: &Address) -> String {
        format!("{chain}.{token:#x}")
    }

    /// The chain and the address of a key; `None` when [`key`](Self::key) did not make it.
    #[must_use]
    pub fn of_key(key: &str) -> Option<(&str, Address)> {
        let (chain, token) = key.rsplit_once('.')?;
        Some((chain, token.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_chain_and_token() {
        let token = Address::repeat_byte(7);
        let key = TokenEntry::key("base", &token);
        assert_eq!(TokenEntry::of_key(&key), Some(("base", token)));
        assert_eq!(TokenEntry::of_key("base"), None);
        assert_eq!(TokenEntry::of_key("base.x"), None);
    }
}
