//! What alerts are about, and their keys: the same over replays and restarts.

use alloy_primitives::{hex, keccak256};
use crypto_intel_schemas::{B256, Event, Kind};
use serde::{Deserialize, Serialize};

/// What an alert is about, apart from the block it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// An effect of a transaction: it keeps its identity when the transaction moves to another block.
    InTransaction {
        chain: String,
        tx_hash: B256,
        kind: Kind,
        /// Index among the transaction's events of this kind. The log's index in the block would change
        /// with the block.
        rank: u32,
    },
    /// Anything else, by its event's id.
    Event(String),
}

/// One rule's match of one occurrence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct MatchKey {
    /// Hash of the occurrence. First, so that the matches of all rules are adjacent.
    pub(crate) occurrence: String,
    pub(crate) rule: String,
}

impl Occurrence {
    /// `rank` is the event's index among its transaction's events of its kind.
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

    /// Hash of the occurrence: 32 hex digits.
    pub(crate) fn id(&self) -> String {
        hash_text(&match self {
            Self::InTransaction { chain, tx_hash, kind, rank } => {
                format!("{chain}\n{tx_hash:#x}\n{kind}\n{rank}")
            }
            Self::Event(id) => id.clone(),
        })
    }
}

impl MatchKey {
    pub(crate) fn new(occurrence: &str, rule: &str) -> Self {
        Self { occurrence: occurrence.to_owned(), rule: rule.to_owned() }
    }

    /// Key of the alert about this in a block. The block is part of it: a match that returns after its
    /// alert was withdrawn and forgotten is a new alert.
    pub(crate) fn alert_key(&self, block: Option<(B256, u32)>) -> String {
        let Self { occurrence, rule } = self;
        match block {
            Some((hash, incarnation)) => {
                hash_text(&format!("{rule}\n{occurrence}\n{hash:#x}\n{incarnation}"))
            }
            None => hash_text(&format!("{rule}\n{occurrence}")),
        }
    }
}

/// Key of the summary of a cooldown.
pub(crate) fn summary_key(rule: &str, group: &str, chain: &str, at_us: i64) -> String {
    hash_text(&format!("summary\n{rule}\n{group}\n{chain}\n{at_us}"))
}

/// Key of the alert of a condition that opened at this time, by this occurrence (empty where time alone decided).
pub(crate) fn condition_key(rule: &str, group: &str, at_us: i64, occurrence: &str) -> String {
    hash_text(&format!("condition\n{rule}\n{group}\n{at_us}\n{occurrence}"))
}

/// Key of the alert that says that others can no longer be corrected.
pub(crate) fn eviction_key(rule: &str, chain: &str, block: &B256) -> String {
    hash_text(&format!("crowded\n{rule}\n{chain}\n{block:#x}"))
}

/// The first eight bytes of a text's hash.
pub(crate) fn short_hash(text: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = keccak256(text).0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Key of the alert about a rule that fails, within one rule set, since this message.
pub(super) fn failure_key(rule: &str, set: &str, at_us: i64, sequence: u64) -> String {
    hash_text(&format!("rule-fails\n{rule}\n{set}\n{at_us}\n{sequence}"))
}

fn hash_text(text: &str) -> String {
    hex::encode(&keccak256(text)[..16])
}
