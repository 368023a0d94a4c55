use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// A chain's position outside of its stream: a value of the bucket `cursors`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainCursor {
    /// Height of the last acknowledged block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Sequence of its marker.
    pub sequence: u64,
    /// Height of the newest block that was final: folding the markers starts there.
    pub final_number: u64,
    /// Its hash.
    pub final_hash: B256,
    /// Sequence of its marker.
    pub final_sequence: u64,
    /// When this was written, microseconds UTC.
    pub at_us: i64,
}

impl ChainCursor {
    /// The key of a chain, by the name of its family.
    #[must_use]
    pub fn key(family: &str, chain: &str) -> String {
        format!("{family}.{chain}")
    }
}
