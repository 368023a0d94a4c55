//! Reorgs: an alert about a block that left the chain is corrected once it is clear where its
//! transaction went.
//!
//! A retraction takes blocks away, newest first; then the new branch comes. Once it is as high as
//! the old one, people are told what moved or changed. What has not come back is "no longer on
//! chain" [`PATIENCE_BLOCKS`] later (or when [`LONGEST_WAIT_US`] passed): most of what a reorg drops
//! is in one of the next blocks, and three messages about it would be two too many.

use crypto_intel_schemas::{Alert, Block, BlockRef};

use crate::engine::{
    keys::SightingKey,
    state::{ChainState, PendingReorg},
    told::Notice,
    totals::Text,
};

/// How many blocks above the old height the new branch must be for what has not come back to be
/// gone.
const PATIENCE_BLOCKS: u64 = 2;

/// A chain that drops blocks and brings none: people are told after this, microseconds of stream
/// time.
const LONGEST_WAIT_US: i64 = 120_000_000;

/// How long an alert that was taken back is remembered, to be answered with "back on chain",
/// microseconds of stream time.
const GONE_KEPT_US: i64 = 6 * 3_600_000_000;

/// What is to be said about a chain.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) corrections: Vec<Alert>,
    pub(super) notices: Vec<Notice>,
}

/// What a rule sees in an event.
#[derive(Debug)]
pub(super) struct View {
    pub(super) gist: u64,
    pub(super) text: Text,
}

impl ChainState {
    /// The block of a `removed` marker left the chain.
    pub(super) fn drop_block(&mut self, block: &Block, now_us: i64) {
        self.leave(now_us, |home| home.hash == block.block_hash);
        if let Some(crowded) = self.crowded.get_mut(&block.block_hash) {
            crowded.replaced = true;
        }
        let pending = self.reorg.get_or_insert(PendingReorg { highest: 0, since_us: now_us });
        pending.highest = pending.highest.max(block.block_number);
    }

    /// Blocks left the chain. What nobody was told is forgotten: where it comes again, it is new.
    fn leave(&mut self, now_us: i64, has_left: impl Fn(&BlockRef) -> bool) {
        let Self { sightings, told, unsettled, homeless, .. } = self;
        sightings.retain(|_, sighting| {
            if !sighting.home.as_ref().is_some_and(&has_left) {
                return true;
            }
            let Some(told) = sighting.alert.as_ref().and_then(|alert| told.get_mut(alert)) else {
                return false;
            };
            sighting.home = None;
            sighting.homeless_since_us = now_us;
            told.unsettled = true;
            *unsettled = true;
            *homeless = true;
            true
        });
    }

    /// The sightings of an occurrence that are in no block.
    pub(super) fn homeless_of(&self, occurrence: &str) -> Vec<SightingKey> {
        let first = SightingKey::new(occurrence, "");
        self.sightings
            .range(first..)
            .take_while(|(key, _)| key.occurrence == occurrence)
            .filter(|(_, sighting)| sighting.home.is_none())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Something happened again in a canonical block. `view`: what its rule makes of it now, and
    /// whether it still matches; absent where the rule is no more.
    pub(super) fn place(&mut self, key: &SightingKey, home: BlockRef, view: Option<(View, bool)>) {
        let Some(sighting) = self.sightings.get_mut(key) else { return };
        let told = sighting.alert.as_ref().and_then(|alert| self.told.get_mut(alert));
        sighting.home = Some(home);
        if let Some((view, holds)) = view {
            let is_as_told = told
                .as_ref()
                .is_some_and(|told| told.summary.is_none() && told.belief.gist == view.gist);
            sighting.holds = holds;
            sighting.gist = view.gist;
            sighting.text = (!is_as_told).then_some(view.text);
        }
        if let Some(told) = told {
            told.unsettled = true;
            self.unsettled = true;
        }
    }

    /// A canonical block is whole: says what is clear now and forgets what is final.
    pub(super) fn add_block(&mut self, block: &Block, now_us: i64) -> Settled {
        // Nothing else is at this height or above. That is known already, unless messages were lost.
        self.leave(now_us, |home| {
            home.number >= block.block_number && home.hash != block.block_hash
        });
        if let Some(crowded) = self.crowded.get_mut(&block.block_hash) {
            crowded.replaced = false;
        }
        let mut settled = Settled::default();
        match self.reorg {
            Some(pending) if block.block_number < pending.highest => return settled,
            Some(pending) if block.block_number < pending.highest + PATIENCE_BLOCKS => {
                settled.corrections = self.settle(false, now_us);
            }
            Some(_) | None => settled = self.settle_all(now_us),
        }
        self.forget(block.finalized_number, now_us);
        settled
    }

    /// Time passed: a reorg that never ends is told.
    pub(super) fn pass_time(&mut self, now_us: i64) -> Settled {
        let overdue =
            self.reorg.is_some_and(|pending| now_us - pending.since_us >= LONGEST_WAIT_US);
        if overdue { self.settle_all(now_us) } else { Settled::default() }
    }

    fn settle_all(&mut self, now_us: i64) -> Settled {
        self.reorg = None;
        let corrections = self.settle(true, now_us);
        let mut notices = Vec::new();
        self.crowded.retain(|hash, crowded| {
            if crowded.replaced {
                let block = BlockRef { number: crowded.number, hash: *hash };
                let counts = std::mem::take(&mut crowded.counts).into_iter();
                notices.extend(counts.map(|(rule, count)| Notice { rule, block, count }));
            }
            !crowded.replaced
        });
        Settled { corrections, notices }
    }

    /// Forgets what is final, and what was taken back long ago.
    fn forget(&mut self, finalized: u64, now_us: i64) {
        let Self { told, sightings, crowded, .. } = self;
        told.retain(|_, told| {
            told.unsettled
                || told.members.iter().filter_map(|key| sightings.get(key)).any(|member| {
                    match member.home {
                        Some(home) => home.number > finalized,
                        None => now_us - member.homeless_since_us < GONE_KEPT_US,
                    }
                })
        });
        sightings.retain(|_, sighting| {
            sighting.alert.as_ref().is_none_or(|alert| told.contains_key(alert))
        });
        crowded.retain(|_, crowded| crowded.replaced || crowded.number > finalized);
        self.homeless = self.sightings.values().any(|sighting| sighting.home.is_none());
    }
}
