use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The range of a chain that an audit found completely stored: a value of the bucket `cursors`, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// First verified block.
    pub from: u64,
    /// Last verified block: everything from `from` up to here is stored.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// What the chain was compared with: `database` or `streams`.
    pub against: String,
    /// When it was verified, microseconds UTC.
    pub at_us: i64,
    /// Digest of the scope that it is complete for; absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

impl Verified {
    /// The key of a chain.
    #[must_use]
    pub fn key(chain: &str) -> String {
        format!("verified.{chain}")
    }
}
