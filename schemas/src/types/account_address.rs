//! Addresses of accounts and contracts, whatever the family of their chain.

use std::{
    fmt::{self, Debug, Display, Formatter, LowerHex},
    hash::{Hash, Hasher},
    str::FromStr,
};

use alloy_primitives::Address;
use serde::{Serialize, Serializer};

const EVM_BYTES: usize = 20;
const SOLANA_BYTES: usize = 32;

/// An address: 20 bytes on EVM chains, a public key of 32 bytes on Solana.
///
/// Its text is that of its chain's family: `0x` and 40 lower-case hex digits, or base58 in the alphabet of Bitcoin
/// (<https://solana.com/docs/core/accounts>). No text is an address of both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountAddress {
    /// Bytes behind the length are zero.
    bytes: [u8; SOLANA_BYTES],
    length: u8,
}

impl AccountAddress {
    pub(crate) const ZERO: Self = Self { bytes: [0; SOLANA_BYTES], length: EVM_BYTES as u8 };

    /// Its bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// As an address of an EVM chain; `None` for one of another family.
    #[must_use]
    pub fn evm(&self) -> Option<Address> {
        Address::try_from(self.as_slice()).ok()
    }

    /// The address with these bytes; `None` where no family has addresses of that length.
    #[must_use]
    pub fn from_slice(slice: &[u8]) -> Option<Self> {
        let mut bytes = [0; SOLANA_BYTES];
        match slice.len() {
            EVM_BYTES | SOLANA_BYTES => bytes[..slice.len()].copy_from_slice(slice),
            _ => return None,
        }
        Some(Self { bytes, length: slice.len() as u8 })
    }
}

impl From<Address> for AccountAddress {
    fn from(address: Address) -> Self {
        let mut bytes = [0; SOLANA_BYTES];
        bytes[..EVM_BYTES].copy_from_slice(address.as_slice());
        Self { bytes, length: EVM_BYTES as u8 }
    }
}

impl PartialEq<Address> for AccountAddress {
    fn eq(&self, address: &Address) -> bool {
        self.as_slice() == address.as_slice()
    }
}

/// Hashes as its bytes do.
impl Hash for AccountAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_slice());
    }
}

impl Display for AccountAddress {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.evm() {
            Some(address) => write!(formatter, "{address:#x}"),
            None => formatter.write_str(&bs58::encode(self.as_slice()).into_string()),
        }
    }
}

/// Its bytes as hex digits, whatever the family.
impl LowerHex for AccountAddress {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl Debug for AccountAddress {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, formatter)
    }
}

impl Serialize for AccountAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for AccountAddress {
    type Err = String;

    /// Hex digits of either case are read.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?} is no address: write 0x and 40 hex digits, or 32 bytes in base58");
        if let Some(digits) = text.strip_prefix("0x") {
            let address = digits.parse::<Address>().ok().filter(|_| digits.len() == 2 * EVM_BYTES);
            return address.map(Self::from).ok_or_else(refused);
        }
        let mut bytes = [0; SOLANA_BYTES];
        match bs58::decode(text).onto(&mut bytes) {
            Ok(SOLANA_BYTES) => Ok(Self { bytes, length: SOLANA_BYTES as u8 }),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_text_of_each_family_is_read_back() {
        for text in [
            "0x5fbdb2315678afecb367f032d93f642f64180aa3",
            "0x0000000000000000000000000000000000000000",
            "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
            "11111111111111111111111111111111",
        ] {
            let address: AccountAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(AccountAddress::from_slice(address.as_slice()), Some(address));
            assert_eq!(address.evm().is_some(), text.starts_with("0x"));
        }
        let mixed: AccountAddress = "0x5FbDB2315678afecb367f032d93F642f64180aa3".parse().unwrap();
        assert_eq!(mixed.to_string(), "0x5fbdb2315678afecb367f032d93f642f64180aa3");
    }

    #[test]
    fn other_texts_are_refused_and_named() {
        for text in [
            "",
            "0x",
            "0x5fbdb2315678afecb367f032d93f642f64180a",
            "0x0x5fbdb2315678afecb367f032d93f642f64180aa3",
            "5fbdb2315678afecb367f032d93f642f64180aa3",
            "1111111111111111111111111111111",
            "111111111111111111111111111111111",
            "O1111111111111111111111111111111",
        ] {
            let error = text.parse::<AccountAddress>().unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        assert_eq!(AccountAddress::from_slice(&[1; 21]), None);
    }

    #[test]
    fn an_address_of_one_family_is_none_of_another() {
        let evm = AccountAddress::from(Address::ZERO);
        let solana = AccountAddress::from_slice(&[0; 32]).unwrap();
        assert_ne!(evm, solana);
        assert_eq!(evm, Address::ZERO);
    }
}
