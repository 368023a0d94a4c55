use std::{fmt, str::FromStr};

use crypto_intel_schemas::{Address, B256};

const MAX_CHARS: usize = 255;

/// A name such as `vitalik.eth`, normalised: the part of names that is plain ASCII (letters, digits, `-`, and `_` at the
/// beginning of a label), which ENSIP-15 leaves as it is but for upper case. Other names need its tables and are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnsName(String);

impl EnsName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What contracts know it by (EIP-137).
    #[must_use]
    pub fn node(&self) -> B256 {
        node_of(&self.0)
    }
}

impl fmt::Display for EnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for EnsName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        let labels: Vec<&str> = name.split('.').collect();
        if name.len() > MAX_CHARS || labels.len() < 2 || !labels.iter().all(|label| is_plain(label))
        {
            return Err(format!(
                "{text:?} is no name that is resolved here: plain ones such as vitalik.eth are, of letters, digits and - \
                 between points; look others up elsewhere, and give the address"
            ));
        }
        Ok(Self(name))
    }
}

fn is_plain(label: &str) -> bool {
    let bytes = label.as_bytes();
    let rest = label.trim_start_matches('_');
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // ENSIP-15 refuses the form of punycode.
    let is_punycode = bytes.get(2..4) == Some(b"--");
    !label.is_empty() && !is_punycode && rest.bytes().all(is_word)
}

fn node_of(name: &str) -> B256 {
    let mut node = B256::ZERO;
    for label in name.rsplit('.') {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(node.as_slice());
        bytes[32..].copy_from_slice(alloy_primitives::keccak256(label).as_slice());
        node = alloy_primitives::keccak256(bytes);
    }
    node
}

/// The node that says how an address calls itself (EIP-181).
pub(super) fn reverse_node(address: &Address) -> B256 {
    node_of(&format!("{address:x}.addr.reverse"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_have_the_nodes_of_the_standard() {
        // EIP-137 has the first, the documentation of ENS the second.
        let eth = "0x93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae";
        assert_eq!(node_of("eth").to_string(), eth);
        let foo = "0xde9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f";
        assert_eq!("Foo.ETH".parse::<EnsName>().unwrap().node().to_string(), foo);
    }

    #[test]
    fn only_what_normalisation_leaves_as_it_is_is_a_name() {
        for good in ["vitalik.eth", "a-b.c1.eth", "_dns.example.com", "UPPER.eth"] {
            assert_eq!(good.parse::<EnsName>().unwrap().as_str(), good.to_ascii_lowercase());
        }
        for bad in [
            "eth",
            "",
            ".eth",
            "a..eth",
            "xn--bcher.eth",
            "bücher.eth",
            "a_b.eth",
            "a b.eth",
            "0x12",
        ] {
            let error = bad.parse::<EnsName>().unwrap_err();
            assert!(error.contains("give the address"), "{error}");
        }
    }
}
