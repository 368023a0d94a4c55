//! What the engine remembers: everything that decides about later alerts, in one value.

use std::collections::{BTreeMap, VecDeque};

use crypto_intel_nats::Position;
use crypto_intel_schemas::{Alert, B256, BlockFields, BlockRef, Event, Kind};
use serde::{Deserialize, Serialize};

use crate::engine::keys::Occurrence;

/// Form of the state; another form is not read, rules then start from empty state.
pub(crate) const STATE_VERSION: u16 = 1;

/// Block hashes whose incarnations are remembered, per chain: deeper than any reorg that is
/// followed.
const MOST_SEEN_BLOCKS: usize = 512;

/// Alerts that can still be corrected, per chain.
const MOST_OPEN_ALERTS: usize = 1_000;

/// State of all rules of one stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) version: u16,
    /// Last message applied.
    pub(crate) position: Position,
    /// Newest store time of a message, microseconds: the only clock.
    pub(crate) stream_time_us: i64,
    /// Newest tick, microseconds.
    pub(crate) tick_us: i64,
    /// Rule → group → event time of the last alert, microseconds.
    pub(crate) cooldowns: BTreeMap<String, BTreeMap<String, i64>>,
    pub(crate) chains: BTreeMap<String, ChainState>,
}

/// State of one chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChainState {
    seen: VecDeque<(B256, u32)>,
    open_block: Option<OpenBlock>,
    /// Alerts whose block is not final, by key.
    pub(crate) alerts: BTreeMap<String, OpenAlert>,
    /// Set while the new branch has not reached the height of the old one.
    pub(crate) reorg: Option<PendingReorg>,
    /// Whether some alert's place has changed since people were told.
    pub(crate) unsettled: bool,
    /// Whether some alert is in no canonical block: only then must events be compared with alerts.
    pub(crate) homeless: bool,
}

/// A block of which events came, but not yet its marker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OpenBlock {
    hash: B256,
    incarnation: u32,
    /// How many events of a kind each transaction had so far.
    counts: BTreeMap<(B256, Kind), u32>,
}

/// A branch was dropped, and the new one is shorter so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingReorg {
    /// Highest block that was dropped.
    pub(crate) highest: u64,
    /// Stream time of the first drop, microseconds.
    pub(crate) since_us: i64,
}

/// An alert that a reorg can still make untrue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenAlert {
    /// What people were told last.
    pub(crate) alert: Alert,
    pub(crate) occurrence: Occurrence,
    /// The canonical block it is in now; absent while it is in none.
    pub(crate) block: Option<BlockRef>,
    /// Whether people were told that it is no longer on chain.
    pub(crate) told_gone: bool,
    pub(crate) group: String,
    /// When the rule last fired for the group before this alert: restored if this one is taken
    /// back.
    pub(crate) previous_fire_us: Option<i64>,
}

impl State {
    pub(crate) fn empty() -> Self {
        Self { version: STATE_VERSION, ..Self::default() }
    }

    /// Whether no chain is in the middle of a block: the best moment for a snapshot.
    pub(crate) fn is_between_blocks(&self) -> bool {
        self.chains.values().all(|chain| chain.open_block.is_none())
    }

    /// Event time of the last alert of a rule for a group.
    pub(crate) fn last_fire_us(&self, rule: &str, group: &str) -> Option<i64> {
        self.cooldowns.get(rule)?.get(group).copied()
    }

    /// Remembers an alert's event time, or forgets with `None`.
    pub(crate) fn set_last_fire(&mut self, rule: &str, group: &str, at_us: Option<i64>) {
        let groups = self.cooldowns.entry(rule.to_owned()).or_default();
        match at_us {
            Some(at_us) => groups.insert(group.to_owned(), at_us),
            None => groups.remove(group),
        };
    }

    /// Forgets cooldowns that no event can meet any more: `length_us` says how long a rule's must
    /// be kept, `None` that the rule is no more.
    pub(crate) fn forget_cooldowns(&mut self, length_us: impl Fn(&str) -> Option<i64>) {
        let now_us = self.stream_time_us;
        self.cooldowns.retain(|rule, groups| {
            let length_us = length_us(rule).unwrap_or(0);
            groups.retain(|_, at_us| now_us.saturating_sub(*at_us) < length_us);
            !groups.is_empty()
        });
    }
}

impl State {
    /// Makes the state smaller when it is too large to be stored: the older half of each chain's
    /// open alerts goes, or, where there are none, all cooldowns. Returns how many went.
    pub(crate) fn shed(&mut self) -> u64 {
        let mut gone = 0;
        for chain in self.chains.values_mut() {
            let mut ages: Vec<(Option<u64>, String)> = chain
                .alerts
                .iter()
                .map(|(key, open)| (open.alert.block_number, key.clone()))
                .collect();
            ages.sort();
            for (_, key) in ages.iter().take(ages.len().div_ceil(2)) {
                chain.alerts.remove(key);
                gone += 1;
            }
        }
        if gone == 0 {
            gone = self.cooldowns.values().map(|groups| groups.len() as u64).sum();
            self.cooldowns.clear();
        }
        gone
    }
}

impl ChainState {
    /// Whether this state of the block was applied whole before.
    pub(crate) fn was_seen(&self, block: &BlockFields<'_>) -> bool {
        // The first event of a block was looked up: the others need not be.
        let is_open = |open: &OpenBlock| {
            open.hash == block.block_hash && open.incarnation == block.incarnation
        };
        if self.open_block.as_ref().is_some_and(is_open) {
            return false;
        }
        self.seen
            .iter()
            .rev()
            .any(|(hash, newest)| *hash == block.block_hash && block.incarnation <= *newest)
    }

    /// A marker came: the block is whole in this state.
    pub(crate) fn close_block(&mut self, block: &BlockFields<'_>) {
        self.open_block = None;
        self.seen.retain(|(hash, _)| *hash != block.block_hash);
        self.seen.push_back((block.block_hash, block.incarnation));
        if self.seen.len() > MOST_SEEN_BLOCKS {
            self.seen.pop_front();
        }
    }

    /// Place of an event among its transaction's events of its kind. Call once per event.
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

    /// Keeps an alert for corrections; says whether an older one had to go for it.
    #[must_use]
    pub(crate) fn keep(&mut self, key: String, alert: OpenAlert) -> bool {
        self.alerts.insert(key, alert);
        if self.alerts.len() <= MOST_OPEN_ALERTS {
            return false;
        }
        let oldest = self
            .alerts
            .iter()
            .min_by_key(|(_, open)| (open.alert.block_number, open.alert.event_at_us))
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.alerts.remove(&oldest);
        }
        true
    }
}
