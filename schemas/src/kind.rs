use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($( $(#[$doc:meta])* $variant:ident = $kind:literal, $schema:literal, version $version:literal; )*) => {
        /// What an event is: the `kind` of its body.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            schemars::JsonSchema,
        )]
        pub enum Kind {
            $( $(#[$doc])* #[serde(rename = $kind)] $variant, )*
        }

        impl Kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The text on the wire, such as `transfer.erc20`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $kind, )* }
            }

            /// The `Schema` header, such as `evm.transfer.erc20/1`.
            #[must_use]
            pub const fn schema(self) -> &'static str {
                match self { $( Self::$variant => concat!($schema, "/", $version), )* }
            }

            /// Version of the body; raised only when a field changes its meaning.
            #[must_use]
            pub const fn version(self) -> u16 {
                match self { $( Self::$variant => $version, )* }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(text: &str) -> Result<Self, UnknownKind> {
                match text {
                    $( $kind => Ok(Self::$variant), )*
                    _ => Err(UnknownKind(text.chars().take(64).collect())),
                }
            }
        }
    };
}

kinds! {
    /// Marker: a canonical block, after all its events.
    Block = "block", "evm.block", version 1;
    /// The canonical chain changed.
    Reorg = "reorg", "evm.reorg", version 1;
    /// The finalized block moved.
    Finalized = "finalized", "evm.finalized", version 1;
    /// A range of blocks was left to the history lane.
    Jump = "jump", "evm.jump", version 1;
    /// Value moved by a transaction itself.
    NativeTransfer = "transfer.native", "evm.transfer.native", version 1;
    /// Value moved inside contracts, where an endpoint offers traces.
    InternalTransfer = "transfer.internal", "evm.transfer.internal", version 1;
    /// ERC-20 `Transfer`.
    Erc20Transfer = "transfer.erc20", "evm.transfer.erc20", version 1;
    /// ERC-721 `Transfer`.
    Erc721Transfer = "transfer.erc721", "evm.transfer.erc721", version 1;
    /// One item of an ERC-1155 `TransferSingle` or `TransferBatch`.
    Erc1155Transfer = "transfer.erc1155", "evm.transfer.erc1155", version 1;
    /// ERC-20 and ERC-721 `Approval`, `ApprovalForAll`.
    Approval = "approval", "evm.approval", version 1;
    /// A trade in a DEX pool.
    Swap = "swap", "evm.swap", version 1;
    /// A DEX pool was made, or its liquidity changed.
    Liquidity = "liquidity", "evm.liquidity", version 1;
    /// An event of a known or configured ABI.
    ContractEvent = "event", "evm.event", version 1;
    /// A contract made by a transaction.
    ContractCreation = "contract", "evm.contract", version 1;
    /// A raw log.
    Log = "log", "evm.log", version 1;
    /// Price of an asset.
    Price = "price", "market.price", version 1;
    /// A named index, such as fear and greed.
    Index = "index", "sentiment.index", version 1;
    /// How an endpoint of a chain does.
    NodeStatus = "node", "status.node", version 1;
    /// The passing of time in a stream.
    Tick = "tick", "tick", version 1;
    /// A rule fired, or its alert was corrected or resolved.
    Alert = "alert", "alert", version 1;
    /// A message that is to be sent to one destination.
    Notification = "notification", "notify.notification", version 1;
    /// What became of a message to one destination.
    Delivery = "delivery", "notify.delivery", version 1;
}

impl Kind {
    /// Whether it says what happened to the chain as we followed it: that is never retracted, although
    /// it has the fields of a block.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        matches!(self, Self::Reorg | Self::Finalized | Self::Jump)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A `kind` that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind {0:?}")]
pub struct UnknownKind(pub String);
