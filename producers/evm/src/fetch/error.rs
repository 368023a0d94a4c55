use crypto_intel_chain::header;
use crypto_intel_schemas::B256;

use crate::{endpoint::EndpointError, verify::InvalidResponse};

/// Identifies a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockId {
    Hash(B256),
    Number(u64),
}

impl From<header::BlockId> for BlockId {
    fn from(id: header::BlockId) -> Self {
        match id {
            header::BlockId::Ref(block) => Self::Hash(block.hash),
            header::BlockId::Number(number) => Self::Number(number),
        }
    }
}

impl std::fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hash(hash) => write!(formatter, "{hash:#x}"),
            Self::Number(number) => write!(formatter, "{number}"),
        }
    }
}

/// The block is unavailable right now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no endpoint is connected")]
    NoEndpoint,
    #[error("endpoint {endpoint} does not know block {block}")]
    NotFound { endpoint: String, block: BlockId },
    #[error("endpoint {endpoint}: {source}")]
    InvalidResponse { endpoint: String, source: InvalidResponse },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    #[error("block {block}: {source}")]
    OfBlock { block: BlockId, source: Box<Self> },
}

impl FetchError {
    /// Adds the block to the error.
    pub(crate) fn of(self, block: BlockId) -> Self {
        Self::OfBlock { block, source: Box::new(self) }
    }

    /// Whether no endpoint knows the block.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::OfBlock { source, .. } => source.is_not_found(),
            _ => false,
        }
    }
}
