//! What the stream says of the holdings of watched wallets: which are to be read, and at which block. Pure.
//!
//! Copies for watched addresses touch holdings, markers end blocks, and balances are readings. A reading at a block answers
//! for what was touched up to it; when the block leaves the chain, what was read there is to be read again.

use std::collections::{BTreeMap, VecDeque};

use crypto_intel_schemas::{B256, Balance, BalanceReason, Block};

use super::holding::Holding;

/// Open blocks that are remembered; of a chain whose finality stands still the oldest are forgotten.
const MAX_OPEN: usize = 4_096;

/// A block of the chain as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Top {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) time_us: i64,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    block: Top,
    /// Sequence of the message before its first one.
    before: u64,
}

/// A holding that is to be read.
#[derive(Debug, Clone, Copy)]
struct Touched {
    /// The lowest block at whose end a reading says what it is.
    number: u64,
    /// Where the stream has to be read from to know of it.
    before: u64,
}

/// The fold of the stream.
#[derive(Debug, Default)]
pub(super) struct Fold {
    open: VecDeque<Open>,
    /// Touched by messages whose marker has not come yet.
    unmarked: Vec<Holding>,
    pending: BTreeMap<Holding, Touched>,
    /// What was read at blocks that are not final.
    readings: BTreeMap<(u64, B256), Vec<Holding>>,
    finalized: u64,
    /// Sequence of the newest marker.
    marker: u64,
}

impl Fold {
    /// Begins after this sequence.
    pub(super) fn after(sequence: u64) -> Self {
        Self { marker: sequence, ..Self::default() }
    }

    /// The newest block.
    pub(super) fn top(&self) -> Option<Top> {
        self.open.back().map(|open| open.block)
    }

    /// What is to be read, in a stable order.
    pub(super) fn pending(&self) -> impl Iterator<Item = Holding> + '_ {
        self.pending.keys().copied()
    }

    /// How much is to be read.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Where the stream has to be read from after a restart: before the oldest block that may still leave, and before
    /// whatever waits.
    pub(super) fn resume_after(&self) -> u64 {
        let oldest = self.open.front().map_or(self.marker, |open| open.before);
        self.pending.values().map(|touched| touched.before).fold(oldest, u64::min)
    }

    /// A holding was touched, or the event that touched it was retracted.
    pub(super) fn touch(&mut self, holding: Holding) {
        self.unmarked.push(holding);
    }

    /// A holding needs no reading any more.
    pub(super) fn forget(&mut self, holding: &Holding) {
        self.pending.remove(holding);
    }

    /// A block came or left.
    pub(super) fn mark(&mut self, marker: &Block, sequence: u64) {
        let before = std::mem::replace(&mut self.marker, sequence);
        let (number, hash) = (marker.block_number, marker.block_hash);
        if marker.removed {
            // What was read there is known only from the oldest open block on.
            let before = self.open.front().map_or(before, |open| open.before);
            self.open.retain(|open| open.block.number < number);
            // The block below is the newest one now: a reading there says what is left of them.
            let again = self.readings.remove(&(number, hash)).unwrap_or_default();
            let touched = std::mem::take(&mut self.unmarked).into_iter().chain(again);
            for holding in touched {
                self.pending.entry(holding).or_insert(Touched { number, before });
            }
            let lowest = number.saturating_sub(1);
            for touched in self.pending.values_mut() {
                touched.number = touched.number.min(lowest);
            }
            return;
        }
        for holding in std::mem::take(&mut self.unmarked) {
            self.pending.entry(holding).or_insert(Touched { number, before }).number = number;
        }
        // What was read at another block of this height was read on a branch that did not come.
        let others: Vec<(u64, B256)> = self
            .readings
            .range((number, B256::ZERO)..=(number, B256::repeat_byte(0xff)))
            .map(|(block, _)| *block)
            .filter(|block| *block != (number, hash))
            .collect();
        for other in others {
            for holding in self.readings.remove(&other).unwrap_or_default() {
                self.pending.entry(holding).or_insert(Touched { number, before });
            }
        }
        self.open
            .push_back(Open { block: Top { number, hash, time_us: marker.block_time_us }, before });
        self.finalized = self.finalized.max(marker.finalized_number);
        self.close_final();
    }

    fn close_final(&mut self) {
        while self.open.len() > MAX_OPEN
            || (self.open.len() > 1
                && self.open.front().is_some_and(|open| open.block.number <= self.finalized))
        {
            self.open.pop_front();
        }
        let lowest = self.open.front().map_or(0, |open| open.block.number);
        self.readings = self.readings.split_off(&(lowest, B256::ZERO));
    }

    /// A balance was read. One of a block that has left the chain meanwhile answers for nothing.
    pub(super) fn read(&mut self, balance: &Balance, holding: Holding) {
        let (number, hash) = (balance.block_number, balance.block_hash);
        if self.is_of_other_branch(number, hash) {
            return;
        }
        let answered = self.pending.get(&holding).is_some_and(|touched| touched.number <= number);
        if answered {
            self.pending.remove(&holding);
        }
        let lowest = self.open.front().map_or(0, |open| open.block.number);
        if number >= lowest && (answered || balance.reason != BalanceReason::Scheduled) {
            self.readings.entry((number, hash)).or_default().push(holding);
        }
    }

    /// Whether another block of this height is on the chain. A higher one than the newest may come.
    fn is_of_other_branch(&self, number: u64, hash: B256) -> bool {
        let own = self.open.iter().rev().find(|open| open.block.number <= number);
        match own {
            Some(own) if own.block.number == number => own.block.hash != hash,
            // A height without a block: the reading was made on a branch that left.
            Some(_) => self.top().is_some_and(|top| number <= top.number),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_schemas::Address;

    use super::*;
    use crate::balances::holding::Asset;

    fn holding(wallet: u8) -> Holding {
        Holding { wallet: Address::repeat_byte(wallet), asset: Asset::Native }
    }

    fn hash(number: u64, branch: u8) -> B256 {
        B256::left_padding_from(&[branch, number as u8])
    }

    struct Stream {
        fold: Fold,
        sequence: u64,
    }

    impl Stream {
        fn new() -> Self {
            Self { fold: Fold::after(10), sequence: 10 }
        }

        fn touch(&mut self, wallet: u8) -> &mut Self {
            self.sequence += 1;
            self.fold.touch(holding(wallet));
            self
        }

        fn block(&mut self, number: u64, branch: u8) -> &mut Self {
            self.marker(number, branch, false)
        }

        fn removed(&mut self, number: u64, branch: u8) -> &mut Self {
            self.marker(number, branch, true)
        }

        fn marker(&mut self, number: u64, branch: u8, removed: bool) -> &mut Self {
            self.sequence += 1;
            let marker = Block {
                block_number: number,
                block_hash: hash(number, branch),
                removed,
                finalized_number: number.saturating_sub(10),
                ..Block::empty()
            };
            self.fold.mark(&marker, self.sequence);
            self
        }

        fn read(&mut self, wallet: u8, number: u64, branch: u8) -> &mut Self {
            self.read_for(wallet, number, branch, BalanceReason::Changed)
        }

        fn read_for(
            &mut self,
            wallet: u8,
            number: u64,
            branch: u8,
            reason: BalanceReason,
        ) -> &mut Self {
            self.sequence += 1;
            let balance = Balance {
                block_number: number,
                block_hash: hash(number, branch),
                reason,
                ..Balance::empty()
            };
            self.fold.read(&balance, holding(wallet));
            self
        }

        fn pending(&self) -> Vec<u8> {
            self.fold.pending().map(|holding| holding.wallet[0]).collect()
        }
    }

    #[test]
    fn a_reading_answers_for_what_was_touched_up_to_its_block() {
        let mut stream = Stream::new();
        assert!(stream.touch(1).pending().is_empty(), "its block is not whole yet");
        assert_eq!(stream.block(1, 0).pending(), [1]);
        assert_eq!(stream.touch(1).touch(2).block(2, 0).pending(), [1, 2]);
        assert_eq!(stream.read(1, 1, 0).pending(), [1, 2], "it was touched after that block");
        assert_eq!(stream.read(2, 2, 0).read(1, 2, 0).pending(), [0_u8; 0]);
        assert_eq!(stream.fold.top().unwrap().number, 2);
    }

    #[test]
    fn what_was_read_at_a_block_that_leaves_is_read_again() {
        let mut stream = Stream::new();
        stream.touch(1).block(1, 0).block(2, 0).read(1, 2, 0);
        assert!(stream.pending().is_empty());
        // The event is in block 1, which stays; the reading was made at block 2.
        assert_eq!(stream.removed(2, 0).pending(), [1]);
        assert_eq!(stream.fold.top().unwrap().number, 1);
        // What was on its way when its block left answers for nothing.
        assert_eq!(stream.read(1, 2, 0).block(2, 1).pending(), [1]);
        assert_eq!(stream.read(1, 2, 0).pending(), [1]);
        assert!(stream.read(1, 2, 1).pending().is_empty());
    }

    #[test]
    fn what_a_retracted_block_touched_is_read_on_the_new_branch() {
        let mut stream = Stream::new();
        stream.block(1, 0).touch(1).block(2, 0).touch(2).block(3, 0).read(1, 3, 0).read(2, 3, 0);
        assert_eq!(stream.touch(2).removed(3, 0).pending(), [1, 2]);
        assert_eq!(stream.touch(1).removed(2, 0).pending(), [1, 2]);
        assert!(stream.read(1, 1, 0).read(2, 1, 0).pending().is_empty(), "the block below says it");
    }

    #[test]
    fn a_reading_ahead_of_the_stream_counts_if_its_block_comes() {
        for (branch, expected) in [(0, vec![]), (1, vec![1])] {
            let mut stream = Stream::new();
            stream.touch(1).block(1, 0).read(1, 3, 0);
            assert!(stream.pending().is_empty());
            assert_eq!(stream.block(2, 0).block(3, branch).pending(), expected, "branch {branch}");
        }
    }

    #[test]
    fn scheduled_readings_are_not_remembered_unless_they_answer_for_something() {
        let mut stream = Stream::new();
        stream.touch(1).block(1, 0).block(2, 0);
        stream.read_for(1, 2, 0, BalanceReason::Scheduled);
        stream.read_for(2, 2, 0, BalanceReason::Scheduled);
        assert_eq!(stream.removed(2, 0).pending(), [1]);
    }

    #[test]
    fn a_restart_knows_what_waits_and_what_may_still_leave() {
        let mut stream = Stream::new();
        stream.touch(1).block(1, 0);
        for number in 2..30 {
            stream.block(number, 0);
        }
        assert_eq!(stream.fold.resume_after(), 10, "its reading is still to come");
        stream.read(1, 29, 0);
        // Blocks above the final one, 19, are open: they begin after the marker of block 19.
        assert_eq!(stream.fold.resume_after(), 12 + 18);
        assert_eq!(stream.fold.readings.len(), 1);
        for number in 30..50 {
            stream.block(number, 0);
        }
        assert!(stream.fold.readings.is_empty(), "its block is final");
    }
}
