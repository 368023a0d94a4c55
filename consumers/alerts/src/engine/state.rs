//! What the engine remembers: everything that decides about later alerts, in one value.

use std::collections::{BTreeMap, VecDeque};

use crypto_intel_nats::Position;
use crypto_intel_schemas::{B256, BlockFields, Event, Kind};
use serde::{Deserialize, Serialize};

use crate::engine::{
    cooldowns::Group,
    keys::SightingKey,
    told::{Crowded, Sighting, Told},
};

/// Form of the state; another form is not read, rules then start from empty state.
pub(crate) const STATE_VERSION: u16 = 2;

/// Block hashes whose incarnations are remembered, per chain: deeper than any reorg that is
/// followed.
const MOST_SEEN_BLOCKS: usize = 512;

/// Where events without a block are kept: they never leave it.
pub(crate) const NO_CHAIN: &str = "";

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
    /// Rule → group → its cooldown and what that holds back.
    pub(crate) groups: BTreeMap<String, BTreeMap<String, Group>>,
    pub(crate) chains: BTreeMap<String, ChainState>,
}

/// State of one chain.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChainState {
    seen: VecDeque<(B256, u32)>,
    open_block: Option<OpenBlock>,
    /// What rules matched: what people were told, and what cooldowns hold back.
    pub(crate) sightings: BTreeMap<SightingKey, Sighting>,
    /// Alerts that can be corrected, by key.
    pub(crate) told: BTreeMap<String, Told>,
    /// Blocks of which some alerts can no longer be corrected.
    pub(crate) crowded: BTreeMap<B256, Crowded>,
    /// Set until the new branch is so high that what did not come back is gone.
    pub(crate) reorg: Option<PendingReorg>,
    /// Whether something has changed since people were told.
    pub(crate) unsettled: bool,
    /// Whether some sighting is in no canonical block: only then must events be compared with them.
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

/// A branch was dropped, and it is not yet clear what the new one holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingReorg {
    /// Highest block that was dropped.
    pub(crate) highest: u64,
    /// Stream time of the first drop, microseconds.
    pub(crate) since_us: i64,
}

impl State {
    pub(crate) fn empty() -> Self {
        Self { version: STATE_VERSION, ..Self::default() }
    }

    /// Whether no chain is in the middle of a block: the best moment for a snapshot.
    pub(crate) fn is_between_blocks(&self) -> bool {
        self.chains.values().all(|chain| chain.open_block.is_none())
    }

    /// Makes the state smaller when it is too large to be stored: the older half of each chain's
    /// alerts goes, or, where there are none, all cooldowns with what they hold back. Returns how
    /// many went.
    pub(crate) fn shed(&mut self) -> u64 {
        let mut gone = 0;
        for chain in self.chains.values_mut() {
            for _ in 0..chain.told.len().div_ceil(2) {
                chain.crowd_out_oldest();
                gone += 1;
            }
        }
        if gone == 0 {
            gone = self.groups.values().map(|groups| groups.len() as u64).sum();
            self.groups.clear();
            for chain in self.chains.values_mut() {
                chain.sightings.retain(|_, sighting| sighting.alert.is_some());
            }
        }
        gone
    }
}

impl ChainState {
    /// Whether this state of the block was applied whole before. The stream is in chain order: an
    /// addition after a removal is news whatever its incarnation says, and the other way round.
    pub(crate) fn was_seen(&self, block: &BlockFields<'_>) -> bool {
        // The first event of a block was looked up: the others need not be.
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
}
