//! How far a chain is: its heads, and what is final.

use crypto_intel_schemas::BlockRef;

/// The newest block that an endpoint spoke of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The block.
    pub block: BlockRef,
    /// When it was first seen, microseconds UTC.
    pub seen_at_us: i64,
}

/// How far a chain says that it is safe and final; what it does not say is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finality {
    /// The newest final block.
    pub finalized: Option<BlockRef>,
    /// Number of the newest safe block.
    pub safe: Option<u64>,
}
