//! What the fields of chain events are made of.

use serde::{Deserialize, Serialize};

use crate::B256;

/// A block by number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash.
    #[schemars(with = "crate::text::HashText")]
    pub hash: B256,
}

/// Which token standard an event speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum TokenStandard {
    /// ERC-20.
    #[default]
    Erc20,
    /// ERC-721.
    Erc721,
    /// ERC-1155.
    Erc1155,
    /// `ApprovalForAll`, which ERC-721 and ERC-1155 share.
    Unknown,
}

impl TokenStandard {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erc20 => "erc20",
            Self::Erc721 => "erc721",
            Self::Erc1155 => "erc1155",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a transaction took effect.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum TransactionStatus {
    /// Receipt status 1.
    Success,
    /// Receipt status 0.
    Failed,
    /// Before Byzantium receipts have no status.
    #[default]
    Unknown,
}

impl TransactionStatus {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
