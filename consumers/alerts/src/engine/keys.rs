//! Keys of alerts: the same for the same occurrence, over replays, restarts and reorgs.

use alloy_primitives::{hex, keccak256};
use crypto_intel_schemas::{B256, Event, Kind};
use serde::{Deserialize, Serialize};

/// What an alert is about, apart from the block it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Occurrence {
    /// Something that a transaction did: it keeps its identity when the transaction moves to
    /// another block.
    InTransaction {
        chain: String,
        tx_hash: B256,
        kind: Kind,
        /// Place among the transaction's events of this kind. The log's index in the block would
        /// change with the block.
        rank: u32,
    },
    /// Anything else, by its event's id.
    Event(String),
}

impl Occurrence {
    /// `rank` is the event's place among its transaction's events of its kind.
    pub(crate) fn of(event: &Event, rank: u32) -> Self {
        match (event.block_fields(), event.transaction_fields()) {
            (Some(block), Some(transaction)) => Self::InTransaction {
                chain: block.chain.to_owned(),
                tx_hash: transaction.tx_hash,
                kind: event.kind(),
                rank,
            },
            _ => Self::Event(event.id().to_owned()),
        }
    }

    /// Key of a rule's alert about this: 32 hex digits.
    pub(crate) fn key(&self, rule: &str) -> String {
        let text = match self {
            Self::InTransaction { chain, tx_hash, kind, rank } => {
                format!("{rule}\n{chain}\n{tx_hash:#x}\n{kind}\n{rank}")
            }
            Self::Event(id) => format!("{rule}\n{id}"),
        };
        hex::encode(&keccak256(text)[..16])
    }
}
