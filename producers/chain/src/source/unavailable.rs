//! Why a block is unavailable.

use std::fmt;

/// A block is unavailable right now, with the reason. It may be available later, or have left the chain.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    reason: String,
    is_unknown: bool,
}

impl Unavailable {
    /// An endpoint failed, or gave an invalid answer.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self { reason: error.to_string(), is_unknown: false }
    }

    /// No endpoint knows the block.
    pub fn unknown(error: impl fmt::Display) -> Self {
        Self { reason: error.to_string(), is_unknown: true }
    }

    /// Whether no endpoint knows the block.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.is_unknown
    }
}
