//! Reorgs: an alert about a block that left the chain is corrected once it is clear where its
//! transaction went.
//!
//! A retraction removes blocks, newest first; then the new branch arrives. Once it is as high as the
//! old one, corrections say what moved or changed. A transaction that has not returned is "no longer
//! on chain" [`RETURN_BLOCKS`] later (or after [`MAX_REORG_US`]): most transactions return in one of
//! the next blocks, and one message about them is better than three.

use crypto_intel_schemas::{Alert, Block, BlockRef};

use crate::engine::{
    chain_state::{ChainState, PendingReorg},
    keys::MatchKey,
    sent_alert::EvictionNotice,
    totals::Text,
};

/// Height of the new branch above the old one at which missing transactions are gone.
const RETURN_BLOCKS: u64 = 2;

/// A reorg without new blocks is reported after this time, microseconds of stream time.
const MAX_REORG_US: i64 = 120_000_000;

/// How long a withdrawn alert is remembered, in case it returns to the chain, microseconds of stream
/// time.
const WITHDRAWN_RETENTION_US: i64 = 6 * 3_600_000_000;

/// What is to be published about a chain.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    pub(super) corrections: Vec<Alert>,
    pub(super) notices: Vec<EvictionNotice>,
}

/// The message of a rule for an event.
#[derive(Debug)]
pub(super) struct Rendering {
    pub(super) content_hash: u64,
    pub(super) text: Text,
}

impl ChainState {
    /// The block of a `removed` marker left the chain.
    pub(super) fn drop_block(&mut self, block: &Block, now_us: i64) {
        self.orphan(now_us, |canonical| canonical.hash == block.block_hash);
        if let Some(evicted) = self.evicted.get_mut(&block.block_hash) {
            evicted.replaced = true;
        }
        let pending = self.reorg.get_or_insert(PendingReorg { highest: 0, since_us: now_us });
        pending.highest = pending.highest.max(block.block_number);
    }

    /// Blocks left the chain. Matches without an alert are forgotten: if they return, they are new.
    fn orphan(&mut self, now_us: i64, has_left: impl Fn(&BlockRef) -> bool) {
        let Self { matches, sent_alerts, is_dirty, has_orphans, .. } = self;
        matches.retain(|_, found| {
            if !found.canonical_block.as_ref().is_some_and(&has_left) {
                return true;
            }
            let sent = found.alert.as_ref().and_then(|alert| sent_alerts.get_mut(alert));
            let Some(sent) = sent else { return false };
            found.canonical_block = None;
            found.orphaned_since_us = now_us;
            sent.is_dirty = true;
            *is_dirty = true;
            *has_orphans = true;
            true
        });
    }

    /// The matches of an occurrence that are in no canonical block.
    pub(super) fn orphans_of(&self, occurrence: &str) -> Vec<MatchKey> {
        let first = MatchKey::new(occurrence, "");
        self.matches
            .range(first..)
            .take_while(|(key, _)| key.occurrence == occurrence)
            .filter(|(_, found)| found.canonical_block.is_none())
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// An orphan is in a canonical block again. `rendering`: its message now, and whether it still
    /// matches; absent where the rule no longer exists.
    pub(super) fn relocate(
        &mut self,
        key: &MatchKey,
        block: BlockRef,
        rendering: Option<(Rendering, bool)>,
    ) {
        let Some(found) = self.matches.get_mut(key) else { return };
        let sent = found.alert.as_ref().and_then(|alert| self.sent_alerts.get_mut(alert));
        found.canonical_block = Some(block);
        if let Some((rendering, holds)) = rendering {
            let hash = rendering.content_hash;
            let is_unchanged = sent
                .as_ref()
                .is_some_and(|sent| sent.summary.is_none() && sent.reported.content_hash == hash);
            found.holds = holds;
            found.content_hash = hash;
            found.text = (!is_unchanged).then_some(rendering.text);
        }
        if let Some(sent) = sent {
            sent.is_dirty = true;
            self.is_dirty = true;
        }
    }

    /// A canonical block is complete: returns what is clear now and forgets what is final.
    pub(super) fn add_block(&mut self, block: &Block, now_us: i64) -> Reconciled {
        // No other block is at this height or above; known already, unless messages were lost.
        self.orphan(now_us, |canonical| {
            canonical.number >= block.block_number && canonical.hash != block.block_hash
        });
        if let Some(evicted) = self.evicted.get_mut(&block.block_hash) {
            evicted.replaced = false;
        }
        let mut reconciled = Reconciled::default();
        match self.reorg {
            Some(pending) if block.block_number < pending.highest => return reconciled,
            Some(pending) if block.block_number < pending.highest + RETURN_BLOCKS => {
                reconciled.corrections = self.reconcile(false, now_us);
            }
            Some(_) | None => reconciled = self.reconcile_all(now_us),
        }
        self.forget(block.finalized_number, now_us);
        reconciled
    }

    /// Time passed: a reorg that does not end is reported.
    pub(super) fn pass_time(&mut self, now_us: i64) -> Reconciled {
        let overdue = self.reorg.is_some_and(|pending| now_us - pending.since_us >= MAX_REORG_US);
        if overdue { self.reconcile_all(now_us) } else { Reconciled::default() }
    }

    fn reconcile_all(&mut self, now_us: i64) -> Reconciled {
        self.reorg = None;
        let corrections = self.reconcile(true, now_us);
        let mut notices = Vec::new();
        self.evicted.retain(|hash, evicted| {
            if evicted.replaced {
                let block = BlockRef { number: evicted.number, hash: *hash };
                let counts = std::mem::take(&mut evicted.counts).into_iter();
                notices.extend(counts.map(|(rule, count)| EvictionNotice { rule, block, count }));
            }
            !evicted.replaced
        });
        Reconciled { corrections, notices }
    }

    /// Forgets final alerts, and those that were withdrawn long ago.
    fn forget(&mut self, finalized: u64, now_us: i64) {
        let Self { sent_alerts, matches, evicted, .. } = self;
        sent_alerts.retain(|_, sent| {
            sent.is_dirty
                || sent.members.iter().filter_map(|key| matches.get(key)).any(|member| match member
                    .canonical_block
                {
                    Some(block) => block.number > finalized,
                    None => now_us - member.orphaned_since_us < WITHDRAWN_RETENTION_US,
                })
        });
        matches.retain(|_, found| {
            found.alert.as_ref().is_none_or(|alert| sent_alerts.contains_key(alert))
        });
        evicted.retain(|_, evicted| evicted.replaced || evicted.number > finalized);
        self.has_orphans = self.matches.values().any(|found| found.canonical_block.is_none());
    }
}
