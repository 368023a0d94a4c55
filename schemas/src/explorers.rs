//! Block explorers, for links to blocks, transactions and addresses.

use std::collections::BTreeMap;

/// Well-known block explorers by chain id.
const KNOWN: [(u64, &str); 17] = [
    (1, "https://etherscan.io"),
    (10, "https://optimistic.etherscan.io"),
    (56, "https://bscscan.com"),
    (100, "https://gnosisscan.io"),
    (130, "https://uniscan.xyz"),
    (137, "https://polygonscan.com"),
    (146, "https://sonicscan.org"),
    (324, "https://explorer.zksync.io"),
    (5_000, "https://mantlescan.xyz"),
    (8_453, "https://basescan.org"),
    (42_161, "https://arbiscan.io"),
    (42_220, "https://celoscan.io"),
    (43_114, "https://snowtrace.io"),
    (59_144, "https://lineascan.build"),
    (81_457, "https://blastscan.io"),
    (534_352, "https://scrollscan.com"),
    (11_155_111, "https://sepolia.etherscan.io"),
];

/// Block explorers by chain id: those of the configuration, else the well-known ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explorers {
    own: BTreeMap<u64, String>,
}

impl Explorers {
    /// With configured explorers by chain id. A trailing slash is dropped.
    #[must_use]
    pub fn new(own: impl IntoIterator<Item = (u64, String)>) -> Self {
        let own = own.into_iter();
        Self { own: own.map(|(id, url)| (id, url.trim_end_matches('/').to_owned())).collect() }
    }

    /// Address of a chain's explorer, without a trailing slash.
    #[must_use]
    pub fn of(&self, chain_id: u64) -> Option<&str> {
        let own = self.own.get(&chain_id).map(String::as_str);
        own.or_else(|| known_explorer(chain_id))
    }
}

/// The well-known explorer of a chain, without a trailing slash.
#[must_use]
pub fn known_explorer(chain_id: u64) -> Option<&'static str> {
    KNOWN.iter().find(|(id, _)| *id == chain_id).map(|(_, url)| *url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_explorers_come_before_known_ones() {
        let own = [(1, "https://mine.example/".to_owned()), (4_242, "http://other".to_owned())];
        let explorers = Explorers::new(own);
        assert_eq!(explorers.of(1), Some("https://mine.example"));
        assert_eq!(explorers.of(4_242), Some("http://other"));
        assert_eq!(explorers.of(10), Some("https://optimistic.etherscan.io"));
        assert_eq!(explorers.of(7), None);
    }
}
