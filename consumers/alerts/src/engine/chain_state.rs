//! What the engine remembers of one chain. Field names of the stored form are older than those here.

use std::collections::{BTreeMap, VecDeque};

use crypto_intel_schemas::{Alert, B256, BlockFields, BlockRef, Event, Kind};
use serde::{Deserialize, Serialize};

use crate::engine::{
    keys::MatchKey,
    sent_alert::{EvictedAlerts, MAX_SENT_ALERTS, RuleMatch, SentAlert},
};

/// Block hashes whose incarnations are remembered, per chain: more than the deepest reorg that is
/// followed.
const MAX_SEEN_BLOCKS: usize = 512;

/// Blocks of a chain for which it is remembered that some of their alerts cannot be corrected.
const MAX_EVICTED_BLOCKS: usize = 512;

/// State of one chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChainState {
    seen: VecDeque<(B256, u32)>,
    open_block: Option<OpenBlock>,
    /// What rules matched: alerts that were sent, and events that cooldowns hold back. Each is an entry of its own
    /// where the state is stored, as is each alert.
    #[serde(rename = "sightings", default, skip_serializing)]
    pub(crate) matches: BTreeMap<MatchKey, RuleMatch>,
    /// Alerts that can be corrected, by key.
    #[serde(rename = "told", default, skip_serializing)]
    pub(crate) sent_alerts: BTreeMap<String, SentAlert>,
    /// Blocks of which some alerts can no longer be corrected.
    #[serde(rename = "crowded")]
    pub(crate) evicted: BTreeMap<B256, EvictedAlerts>,
    /// Set until the new branch is high enough that missing transactions are gone.
    pub(crate) reorg: Option<PendingReorg>,
    /// Whether an alert's state has changed since it was last sent.
    #[serde(rename = "unsettled")]
    pub(crate) is_dirty: bool,
    /// Whether some match is in no canonical block: only then must events be compared with them.
    #[serde(rename = "homeless")]
    pub(crate) has_orphans: bool,
}

/// A block of which events, but not its marker, have arrived.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OpenBlock {
    hash: B256,
    incarnation: u32,
    /// Number of events per transaction and kind so far.
    counts: BTreeMap<(B256, Kind), u32>,
}

/// A branch was dropped, and the new one is not complete yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingReorg {
    /// Highest block that was dropped.
    pub(crate) highest: u64,
    /// Stream time of the first drop, microseconds.
    pub(crate) since_us: i64,
}

impl ChainState {
    /// Whether this state of the block was applied completely before. The stream is in chain order: an
    /// addition after a removal is new whatever its incarnation, and vice versa.
    pub(crate) fn was_seen(&self, block: &BlockFields<'_>) -> bool {
        // Looked up with the first event of the block.
        let is_open = |open: &OpenBlock| {
            open.hash == block.block_hash && open.incarnation == block.incarnation
        };
        if self.open_block.as_ref().is_some_and(is_open) {
            return false;
        }
        let newest = self.seen.iter().rev().find(|(hash, _)| *hash == block.block_hash);
        newest.is_some_and(|(_, newest)| {
            block.incarnation <= *newest && block.removed == newest.is_multiple_of(2)
        })
    }

    /// Whether no block is open.
    pub(super) fn is_between_blocks(&self) -> bool {
        self.open_block.is_none()
    }

    /// A marker arrived: the block is complete in this state.
    pub(crate) fn close_block(&mut self, block: &BlockFields<'_>) {
        self.open_block = None;
        self.seen.retain(|(hash, _)| *hash != block.block_hash);
        self.seen.push_back((block.block_hash, block.incarnation));
        if self.seen.len() > MAX_SEEN_BLOCKS {
            self.seen.pop_front();
        }
    }

    /// Index of an event among its transaction's events of its kind. Call once per event.
    pub(crate) fn rank(&mut self, event: &Event, block: &BlockFields<'_>) -> u32 {
        let Some(transaction) = event.transaction_fields() else { return 0 };
        let same = self.open_block.as_ref().is_some_and(|open| {
            open.hash == block.block_hash && open.incarnation == block.incarnation
        });
        if !same {
            self.open_block = None;
        }
        let open = self.open_block.get_or_insert_with(|| OpenBlock {
            hash: block.block_hash,
            incarnation: block.incarnation,
            counts: BTreeMap::new(),
        });
        let count = open.counts.entry((transaction.tx_hash, event.kind())).or_default();
        let rank = *count;
        *count += 1;
        rank
    }

    /// Corrections of the alerts whose state has changed and is clear now.
    pub(super) fn reconcile(&mut self, missing_is_gone: bool, now_us: i64) -> Vec<Alert> {
        if !self.is_dirty {
            return Vec::new();
        }
        let Self { sent_alerts, matches, .. } = self;
        let corrections = sent_alerts
            .values_mut()
            .filter(|sent| sent.is_dirty)
            .filter_map(|sent| sent.reconcile(matches, missing_is_gone, now_us))
            .collect();
        self.is_dirty = self.sent_alerts.values().any(|sent| sent.is_dirty);
        corrections
    }

    /// Whether an alert for this match suppresses others: it is on the chain and meets its rule. A
    /// forgotten match is final.
    pub(super) fn suppresses(&self, key: &MatchKey) -> bool {
        self.matches.get(key).is_none_or(|found| found.canonical_block.is_some() && found.holds)
    }

    /// Whether the alert for this match was reported as void.
    pub(super) fn is_withdrawn(&self, key: &MatchKey) -> bool {
        let alert = self.matches.get(key).and_then(|found| found.alert.as_ref());
        let sent = alert.and_then(|alert| self.sent_alerts.get(alert));
        sent.is_some_and(|sent| sent.reported.gone || !sent.reported.holds)
    }

    /// Remembers an alert for corrections; returns whether an older one was evicted for it.
    #[must_use]
    pub(super) fn remember(&mut self, sent: SentAlert) -> bool {
        self.sent_alerts.insert(sent.alert.alert.clone(), sent);
        let is_full = self.sent_alerts.len() > MAX_SENT_ALERTS;
        if is_full {
            self.evict_oldest();
        }
        is_full
    }

    /// Forgets the alert that is least likely to need a correction: one that was withdrawn, else the one
    /// nearest to finality.
    pub(super) fn evict_oldest(&mut self) {
        let number_of = |sent: &SentAlert| {
            let member = || sent.members.first().and_then(|key| self.matches.get(key));
            let block = || member().and_then(|member| member.canonical_block);
            sent.alert.block_number.or_else(|| block().map(|block| block.number))
        };
        let rank = |sent: &SentAlert| {
            (!sent.reported.gone, sent.is_dirty, number_of(sent), sent.alert.event_at_us)
        };
        let oldest = self.sent_alerts.iter().min_by_key(|(_, sent)| rank(sent));
        let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
        let Some(sent) = self.sent_alerts.remove(&key) else { return };
        let (rule, number) = (&sent.alert.rule, sent.alert.block_number);
        if let (Some(number), Some(hash), false) =
            (number, sent.alert.block_hash, sent.reported.gone)
        {
            self.record_eviction(BlockRef { number, hash }, rule, sent.is_dirty);
        }
        for member in &sent.members {
            if let Some(forgotten) = self.matches.remove(member)
                && let (Some(block), true) = (forgotten.canonical_block, sent.summary.is_some())
            {
                self.record_eviction(block, rule, false);
            }
        }
    }

    /// An alert about this block can no longer be corrected.
    pub(super) fn record_eviction(&mut self, block: BlockRef, rule: &str, replaced: bool) {
        let entry = self.evicted.entry(block.hash).or_insert_with(|| EvictedAlerts {
            number: block.number,
            replaced,
            counts: BTreeMap::new(),
        });
        entry.replaced |= replaced;
        *entry.counts.entry(rule.to_owned()).or_default() += 1;
        if self.evicted.len() > MAX_EVICTED_BLOCKS {
            let oldest = self.evicted.iter().min_by_key(|(_, evicted)| evicted.number);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                self.evicted.remove(&hash);
            }
        }
    }
}
