//! Types of the fields of chain events.

use serde::{Deserialize, Serialize};

use alloy_primitives::B256;

/// A block by number and hash.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash.
    #[schemars(with = "crate::types::json_hex::HashText")]
    pub hash: B256,
}

/// Token standard of an event.
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

/// Why a balance was read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum BalanceReason {
    /// An event touched it.
    Changed,
    /// Everything that is held is read from time to time.
    #[default]
    Scheduled,
    /// The wallet was put on the watch-list.
    Added,
}

impl BalanceReason {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Scheduled => "scheduled",
            Self::Added => "added",
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

/// Form of a DEX event. Forks share the form of the protocol that they copied.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum DexProtocol {
    /// Uniswap V2 and its many forks: Sushi, Pancake V2, and so on.
    #[default]
    #[serde(rename = "uniswap-v2")]
    UniswapV2,
    /// Uniswap V3 and its forks.
    #[serde(rename = "uniswap-v3")]
    UniswapV3,
    /// Pancake V3: its swaps have two more fields.
    #[serde(rename = "pancake-v3")]
    PancakeV3,
    /// Uniswap V4: all pools live in one contract.
    #[serde(rename = "uniswap-v4")]
    UniswapV4,
}

impl DexProtocol {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UniswapV2 => "uniswap-v2",
            Self::UniswapV3 => "uniswap-v3",
            Self::PancakeV3 => "pancake-v3",
            Self::UniswapV4 => "uniswap-v4",
        }
    }
}

/// What happened to a DEX pool, apart from swaps.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum LiquidityAction {
    /// A factory created the pool.
    #[default]
    #[serde(rename = "pool_created")]
    PoolCreated,
    /// The pool got its first price; in V4 this also creates the pool.
    #[serde(rename = "initialize")]
    Initialize,
    /// Liquidity was added.
    #[serde(rename = "mint")]
    Mint,
    /// Liquidity was removed.
    #[serde(rename = "burn")]
    Burn,
    /// Owed tokens were paid out.
    #[serde(rename = "collect")]
    Collect,
    /// Reserves after any change (V2).
    #[serde(rename = "sync")]
    Sync,
    /// Liquidity was added or removed (V4).
    #[serde(rename = "modify")]
    Modify,
}

impl LiquidityAction {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PoolCreated => "pool_created",
            Self::Initialize => "initialize",
            Self::Mint => "mint",
            Self::Burn => "burn",
            Self::Collect => "collect",
            Self::Sync => "sync",
            Self::Modify => "modify",
        }
    }
}

/// How value moved inside a contract.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum CallType {
    /// A call.
    #[default]
    #[serde(rename = "call")]
    Call,
    /// A contract was created with value.
    #[serde(rename = "create")]
    Create,
    /// A contract sent its balance away with `selfdestruct`.
    #[serde(rename = "selfdestruct")]
    SelfDestruct,
}

impl CallType {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Create => "create",
            Self::SelfDestruct => "selfdestruct",
        }
    }
}
