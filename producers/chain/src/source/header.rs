//! Which blocks, and what links them.

use std::fmt;

use crypto_intel_schemas::{B256, BlockRef};

/// A block by number and hash, or the one at a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// This very block.
    Ref(BlockRef),
    /// The block that the chain has at a number now.
    Number(u64),
}

impl fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ref(block) => write!(formatter, "{:#x}", block.hash),
            Self::Number(number) => write!(formatter, "{number}"),
        }
    }
}

/// What links a block to its parent. Numbers may have holes: the parent's is not `number - 1` everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Number, slot or height: what the family's nodes are asked by.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The block on which it was built.
    pub parent: BlockRef,
}

impl Header {
    /// The block itself.
    #[must_use]
    pub fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// Blocks from one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First number.
    pub from: u64,
    /// Last number.
    pub to: u64,
}

impl Span {
    /// How many numbers.
    #[must_use]
    pub fn width(self) -> u64 {
        self.to.saturating_sub(self.from) + 1
    }
}
