//! A block that takes no memory until it is requested.

use std::fmt;

use alloy_primitives::B256;

use super::block::{Identity, NodeBlock};

/// A block that is built on each request, always the same: a chain of ten thousand real blocks would
/// take gigabytes otherwise.
pub struct LazyBlock {
    identity: Identity,
    make: Box<dyn Fn() -> NodeBlock + Send + Sync>,
}

impl LazyBlock {
    pub(super) fn new(
        identity: Identity,
        make: impl Fn() -> NodeBlock + Send + Sync + 'static,
    ) -> Self {
        Self { identity, make: Box::new(make) }
    }

    /// Height.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.identity.number
    }

    /// Hash of the block.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.identity.hash
    }

    /// Parent's hash.
    #[must_use]
    pub fn parent_hash(&self) -> B256 {
        self.identity.parent_hash
    }

    /// The block.
    #[must_use]
    pub fn make(&self) -> NodeBlock {
        (self.make)()
    }
}

impl fmt::Debug for LazyBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("LazyBlock").field(&self.identity).finish()
    }
}
