//! Reorgs: an alert about a block that left the chain is corrected once it is clear where its
//! transaction went.
//!
//! A retraction takes blocks away, newest first; then the new branch comes. While it is lower
//! than the old one, a transaction may still come back in its next block: nothing is said before
//! it has reached the old height (or [`LONGEST_WAIT_US`] passed). Then each alert is compared with
//! what people were told last: nothing changed, moved to another block, gone, or back.

use crypto_intel_schemas::{Alert, AlertState, Block, BlockRef};

use crate::engine::{
    keys::Occurrence,
    state::{ChainState, OpenAlert, PendingReorg},
};

/// A chain that drops blocks and brings none: people are told after this, microseconds of stream
/// time.
const LONGEST_WAIT_US: i64 = 120_000_000;

/// A correction that is to be published, and the cooldown that goes back with it.
#[derive(Debug)]
pub(super) struct Correction {
    pub(super) alert: Alert,
    /// Group and the time to go back to, when the alert is taken back.
    pub(super) cooldown: Option<(String, Option<i64>)>,
}

/// Where and when a correction is made, for its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Stream time, microseconds.
    pub(super) stream_time_us: i64,
}

impl ChainState {
    /// The block of a `removed` marker left the chain.
    pub(super) fn drop_block(&mut self, block: &Block, moment: Moment) {
        for open in self.alerts.values_mut() {
            if open.block.is_some_and(|place| place.hash == block.block_hash) {
                open.block = None;
                self.unsettled = true;
                self.homeless = true;
            }
        }
        let pending =
            self.reorg.get_or_insert(PendingReorg { highest: 0, since_us: moment.stream_time_us });
        pending.highest = pending.highest.max(block.block_number);
    }

    /// Something happened (again) in a canonical block: an alert about it is in that block now,
    /// whatever its rule's condition says this time.
    pub(super) fn place(&mut self, occurrence: &Occurrence, block: BlockRef) {
        for open in self.alerts.values_mut() {
            if open.block.is_none() && open.occurrence == *occurrence {
                open.block = Some(block);
                self.unsettled = true;
            }
        }
    }

    /// A canonical block is whole: says what is clear now and forgets what is final.
    pub(super) fn add_block(&mut self, block: &Block, moment: Moment) -> Vec<Correction> {
        if self.reorg.is_some_and(|pending| block.block_number < pending.highest) {
            return Vec::new();
        }
        self.reorg = None;
        let corrections = self.settle(moment);
        self.alerts.retain(|_, open| {
            let number = open.block.map(|place| place.number).or(open.alert.block_number);
            number.is_some_and(|number| number > block.finalized_number)
        });
        self.homeless = self.alerts.values().any(|open| open.block.is_none());
        corrections
    }

    /// Time passed: a reorg that never ends is told.
    pub(super) fn pass_time(&mut self, moment: Moment) -> Vec<Correction> {
        let overdue = self
            .reorg
            .is_some_and(|pending| moment.stream_time_us - pending.since_us >= LONGEST_WAIT_US);
        if !overdue {
            return Vec::new();
        }
        self.reorg = None;
        self.settle(moment)
    }

    fn settle(&mut self, moment: Moment) -> Vec<Correction> {
        if !std::mem::take(&mut self.unsettled) {
            return Vec::new();
        }
        self.alerts.values_mut().filter_map(|open| open.settle(moment)).collect()
    }
}

impl OpenAlert {
    /// What people must be told, if anything.
    fn settle(&mut self, moment: Moment) -> Option<Correction> {
        let told_number = self.alert.block_number.unwrap_or_default();
        let (line, cooldown) = match self.block {
            Some(place) if self.told_gone => {
                (format!("Back on chain, in block {}.", place.number), None)
            }
            Some(place) if self.alert.block_hash != Some(place.hash) => {
                let line = if place.number == told_number {
                    format!("Moved to another block {} after a reorganisation.", place.number)
                } else {
                    format!(
                        "Moved to block {} after a reorganisation, was in block {told_number}.",
                        place.number
                    )
                };
                (line, None)
            }
            None if !self.told_gone => {
                let cooldown = (self.group.clone(), self.previous_fire_us);
                (format!("No longer on chain: block {told_number} was replaced."), Some(cooldown))
            }
            Some(_) | None => return None,
        };
        self.told_gone = self.block.is_none();
        if let Some(place) = self.block {
            self.alert.block_number = Some(place.number);
            self.alert.block_hash = Some(place.hash);
        }
        self.alert.state = AlertState::Corrected;
        self.alert.n += 1;
        self.alert.id = super::alert_id(&self.alert);
        self.alert.lines = vec![line];
        self.alert.observed_at_us = moment.stream_time_us;
        Some(Correction { alert: self.alert.clone(), cooldown })
    }
}
