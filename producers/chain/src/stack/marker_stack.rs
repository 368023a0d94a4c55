//! The marker stack: what of a chain is in the stream, and what has to be done to follow a head.
//! Pure: no clock, no network.
//!
//! A block's marker pushes, a removed marker pops. The bottom is final and never leaves. Below the
//! bottom stands the base: the block on which the bottom was built.

use std::{
    collections::{HashMap, VecDeque},
    ops::RangeInclusive,
};

use crypto_intel_schemas::{B256, Block, BlockRef};

use crate::{
    source::header::Header,
    stack::limits::{Limits, Refused},
};

/// A published block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// 1, 3, 5, …
    pub(crate) incarnation: u32,
    /// Stream sequence of its marker.
    pub(crate) sequence: u64,
    /// Its messages are in the stream from here on.
    pub(crate) begin_sequence: u64,
    /// Whether that is known. Of the first marker that is read it is reckoned, without copies.
    pub(crate) is_begin_known: bool,
    /// How many of them are before the marker.
    pub(crate) messages: u32,
}

impl Entry {
    /// The block itself.
    pub(crate) fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// What the stream holds of a chain, as its markers say.
#[derive(Debug, Clone, Default)]
pub(crate) struct MarkerStack {
    entries: VecDeque<Entry>,
    /// Last incarnation of every hash above the bottom, by number and hash.
    incarnations: HashMap<B256, (u64, u32)>,
    /// Blocks that left and did not come back, with the sequence of their removed marker.
    absent: HashMap<B256, (u64, u64)>,
    finalized: u64,
    /// On what the bottom was built, while the bottom is not final.
    base: Option<Base>,
    /// Blocks popped since the last push, newest first: a reorg event is owed for them.
    dropped: Vec<BlockRef>,
    /// The top that a jump left behind, until the next push.
    left: Option<BlockRef>,
    /// The blocks that a jump left out, until the next push: an event is owed for them.
    jumped: Option<RangeInclusive<u64>>,
    /// Sequence of the newest marker of either sort; 0 = none.
    last_marker: u64,
}

/// The final block on which the oldest entry was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Base {
    next_number: u64,
    hash: B256,
    /// Whether that is the lowest number that can follow. Of a marker that is read only its own number is known.
    is_exact: bool,
}

/// How a head relates to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It is the top.
    AtTop,
    /// It is in the stack below the top, or lower than the top: the endpoint is behind.
    Behind,
    /// It is above the top: the blocks between are to be fetched.
    Above,
    /// Another block at the height of the top.
    Beside,
}

/// A reorganisation to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retraction {
    /// Blocks to retract, newest first.
    pub(crate) entries: Vec<Entry>,
    /// The block that stays.
    pub(crate) ancestor: BlockRef,
}

impl MarkerStack {
    /// An empty stack: its first block has this number, and this hash as its parent.
    pub(crate) fn begin(next_number: u64, parent_hash: B256) -> Self {
        let base = Some(Base { next_number, hash: parent_hash, is_exact: true });
        Self { base, ..Self::default() }
    }

    /// Takes the next marker of the stream. The first one read is the bottom.
    pub(crate) fn fold(&mut self, marker: &Block, sequence: u64) {
        let (begin_sequence, is_begin_known) = match self.last_marker {
            0 => (sequence.saturating_sub(u64::from(marker.messages)), false),
            last => (last + 1, true),
        };
        self.last_marker = sequence;
        self.finalized = self.finalized.max(marker.finalized_number);
        self.incarnations.insert(marker.block_hash, (marker.block_number, marker.incarnation));
        if marker.removed {
            self.absent.insert(marker.block_hash, (marker.block_number, sequence));
            // The marker of a block that was abandoned half-way was never pushed.
            if self.entries.back().is_some_and(|top| top.hash == marker.block_hash) {
                self.entries.pop_back();
                self.dropped
                    .push(BlockRef { number: marker.block_number, hash: marker.block_hash });
            }
            return;
        }
        self.dropped.clear();
        self.left = None;
        self.jumped = None;
        self.absent.remove(&marker.block_hash);
        // A marker that is not built on the top ends a jump: everything below it is final.
        if self.top().is_some_and(|top| top.hash != marker.parent_hash) {
            self.entries.clear();
        }
        if self.entries.is_empty() && self.base.is_none_or(|base| base.hash != marker.parent_hash) {
            let (next_number, hash) = (marker.block_number, marker.parent_hash);
            self.base = Some(Base { next_number, hash, is_exact: false });
        }
        self.entries.push_back(Entry {
            number: marker.block_number,
            hash: marker.block_hash,
            incarnation: marker.incarnation,
            sequence,
            begin_sequence,
            is_begin_known,
            messages: marker.messages,
        });
        self.forget_final();
    }

    /// Leaves what is published behind, all of it final: the next block has this number and parent.
    pub(crate) fn jump(&mut self, next_number: u64, parent_hash: B256) {
        self.left = self.top().map(Entry::block);
        let first = self.jumped.take().map(|jumped| *jumped.start()).or_else(|| self.next_number());
        self.jumped = first.map(|first| first..=next_number.saturating_sub(1));
        self.entries.clear();
        self.base = Some(Base { next_number, hash: parent_hash, is_exact: true });
    }

    /// Published blocks that may still leave, newest first, and the bottom.
    pub(crate) fn newest_first(&self) -> Vec<Entry> {
        self.entries.iter().rev().cloned().collect()
    }

    /// Drops what can never be retracted, but for the newest final block, the new bottom.
    fn forget_final(&mut self) {
        while self.entries.get(1).is_some_and(|second| second.number <= self.finalized) {
            self.entries.pop_front();
            self.base = None;
        }
        let Some(bottom) = self.entries.front().map(|entry| entry.number) else { return };
        self.absent.retain(|_, (number, _)| *number > bottom.min(self.finalized));
        if self.incarnations.len() > 2 * self.entries.len() + 64 {
            self.incarnations.retain(|_, (number, _)| *number >= bottom);
        }
    }

    /// Whether nothing was published, and nothing is known to build on.
    pub(crate) fn is_empty(&self) -> bool {
        self.next_number().is_none()
    }

    /// The newest published block.
    pub(crate) fn top(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// Lowest number that the block pushed next can have; `None` for a stack without top and base.
    pub(crate) fn next_number(&self) -> Option<u64> {
        let above = self.top().map(|top| top.number + 1);
        above.or_else(|| self.base.map(|base| base.next_number))
    }

    /// Lowest number that may be missing above what is published: numbers below the bottom may have been holes of another
    /// branch only.
    pub(crate) fn first_missing(&self) -> Option<u64> {
        let next = self.next_number()?;
        let is_exact = self.top().is_some() || self.base.is_some_and(|base| base.is_exact);
        Some(if is_exact { next } else { next.min(self.finalized.saturating_add(1)) })
    }

    /// Parent hash of the block that can be pushed next.
    pub(crate) fn expected_parent(&self) -> Option<B256> {
        self.top().map(|top| top.hash).or_else(|| self.base.map(|base| base.hash))
    }

    /// The newest marker whose block is final.
    pub(crate) fn newest_final(&self) -> Option<&Entry> {
        self.entries.front().filter(|bottom| bottom.number <= self.finalized)
    }

    /// The marker where a fold may start: final, and nothing before it in the stream is of a block
    /// that may still come back, whose incarnation would be forgotten.
    pub(crate) fn fold_start(&self) -> Option<&Entry> {
        let bottom = self.newest_final()?;
        let forgets = self.absent.values().any(|(_, sequence)| *sequence < bottom.sequence);
        (!forgets).then_some(bottom)
    }

    /// Highest block that was final when the last marker was written.
    pub(crate) fn finalized(&self) -> u64 {
        self.finalized
    }

    /// Sequence of the newest marker; 0 = none.
    pub(crate) fn last_marker(&self) -> u64 {
        self.last_marker
    }

    /// Blocks popped since the last push, newest first, and the block that stayed.
    pub(crate) fn owed_reorg(&self) -> Option<(Vec<BlockRef>, BlockRef)> {
        let oldest = self.dropped.last()?;
        let top = self.top().map(Entry::block);
        let ancestor = match self.left.or(top) {
            Some(ancestor) => ancestor,
            None => {
                // Of a base that a marker named only the hash is known; numbers below it may have holes.
                let exact = self.base.filter(|base| base.is_exact).map(|base| base.next_number);
                BlockRef {
                    number: exact.unwrap_or(oldest.number).saturating_sub(1),
                    hash: self.base.map(|base| base.hash).unwrap_or_default(),
                }
            }
        };
        Some((self.dropped.clone(), ancestor))
    }

    /// The blocks that a jump left out, where the block after them is not published yet.
    pub(crate) fn owed_jump(&self) -> Option<RangeInclusive<u64>> {
        self.jumped.clone()
    }

    /// The incarnation with which a block is published next.
    pub(crate) fn next_incarnation(&self, hash: &B256) -> u32 {
        self.incarnations.get(hash).map_or(1, |(_, last)| last + 1)
    }

    /// How a head relates to what is published.
    pub(crate) fn relate(&self, head: BlockRef) -> Relation {
        let Some(top) = self.top() else { return Relation::Above };
        if top.hash == head.hash {
            return Relation::AtTop;
        }
        match head.number.cmp(&top.number) {
            std::cmp::Ordering::Greater => Relation::Above,
            std::cmp::Ordering::Equal => Relation::Beside,
            std::cmp::Ordering::Less => Relation::Behind,
        }
    }

    /// Whether a header's parent is published, or is what everything published was built on.
    pub(crate) fn meets(&self, oldest: &Header) -> bool {
        self.position(&oldest.parent.hash).is_some()
            || self.base.is_some_and(|base| base.hash == oldest.parent.hash)
    }

    /// Whether a branch that meets nothing may replace everything: a chain may begin, by configuration, above what is
    /// final, and then its base may change.
    fn floats(&self, oldest: &Header) -> bool {
        self.base.is_some_and(|base| {
            base.next_number > self.finalized.saturating_add(1)
                && oldest.parent.number < base.next_number
        })
    }

    /// What to retract so that `oldest`, the oldest header of a branch that was linked downwards,
    /// can follow.
    ///
    /// # Errors
    /// When the branch leaves the chain deeper than allowed, or below what was final.
    pub(crate) fn retraction(
        &self,
        limits: &Limits,
        tip: u64,
        oldest: &Header,
    ) -> Result<Retraction, Refused> {
        let kept = match self.position(&oldest.parent.hash) {
            Some(position) => position + 1,
            None if self.meets(oldest) || self.floats(oldest) => 0,
            // Linking it was given up: at least the published blocks from its parent's number on would leave.
            None if oldest.parent.number > self.finalized => {
                let leave = |entry: &&Entry| entry.number >= oldest.parent.number;
                let depth = self.entries.iter().filter(leave).count() as u64;
                return Err(Refused::too_deep(limits, tip, depth));
            }
            None => return Err(Refused::below_final(limits, tip, self.finalized)),
        };
        let entries: Vec<Entry> = self.entries.range(kept..).rev().cloned().collect();
        self.check_retraction(limits, tip, &entries)?;
        let ancestor = match kept.checked_sub(1).and_then(|place| self.entries.get(place)) {
            Some(ancestor) => ancestor.block(),
            None => oldest.parent,
        };
        Ok(Retraction { entries, ancestor })
    }

    /// Whether these published blocks may leave.
    ///
    /// # Errors
    /// When one of them was final, or they are too many.
    pub(crate) fn check_retraction(
        &self,
        limits: &Limits,
        tip: u64,
        entries: &[Entry],
    ) -> Result<(), Refused> {
        if entries.iter().any(|entry| entry.number <= self.finalized) {
            return Err(Refused::below_final(limits, tip, self.finalized));
        }
        let depth = entries.len() as u64;
        if depth > limits.max_reorg_depth {
            return Err(Refused::too_deep(limits, tip, depth));
        }
        Ok(())
    }

    /// Where the oldest block that may still leave begins in the stream, or the next one will; `None` before the first.
    pub(crate) fn oldest_open(&self) -> Option<u64> {
        let oldest = self.entries.iter().find(|entry| entry.number > self.finalized);
        let next = (self.last_marker > 0).then_some(self.last_marker + 1);
        oldest.map(|entry| entry.begin_sequence).or(next)
    }

    /// The published block of this height; `None` below the bottom and above the top.
    pub(crate) fn hash_at(&self, number: u64) -> Option<B256> {
        self.entries.iter().find(|entry| entry.number == number).map(|entry| entry.hash)
    }

    fn position(&self, hash: &B256) -> Option<usize> {
        self.entries.iter().rposition(|entry| entry.hash == *hash)
    }
}

#[cfg(test)]
#[path = "marker_stack_tests.rs"]
mod tests;
