use std::{collections::VecDeque, time::Duration};

use crypto_intel_schemas::{B256, BlockRef};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Heights that are remembered.
const KEPT: usize = 512;

/// The newest block that an endpoint announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// When it was first seen, microseconds UTC.
    pub(crate) seen_at_us: i64,
}

/// The newest heads of an endpoint that are remembered.
const MAX_ANNOUNCED: usize = 64;

/// The blocks that an endpoint announced as its head, newest last: a head takes the place of those at its height and
/// above.
#[derive(Debug, Default)]
pub(super) struct Announced(VecDeque<BlockRef>);

impl Announced {
    pub(super) fn add(&mut self, head: Head) {
        while self.0.back().is_some_and(|known| known.number >= head.number) {
            self.0.pop_back();
        }
        self.0.push_back(BlockRef { number: head.number, hash: head.hash });
        if self.0.len() > MAX_ANNOUNCED {
            self.0.pop_front();
        }
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = BlockRef> {
        self.0.iter().copied()
    }
}

/// When an endpoint of a chain first announced each height.
#[derive(Debug, Default)]
pub(super) struct Heights {
    /// Increasing numbers, in the order in which they were seen.
    seen: Mutex<VecDeque<(u64, Instant)>>,
}

impl Heights {
    /// An endpoint announced this height.
    pub(super) fn saw(&self, number: u64, now: Instant) {
        let mut seen = self.seen.lock();
        if seen.back().is_none_or(|(highest, _)| *highest < number) {
            seen.push_back((number, now));
            if seen.len() > KEPT {
                seen.pop_front();
            }
        }
    }

    /// For how long an endpoint whose head is `number` has been behind.
    pub(super) fn behind_for(&self, number: u64, now: Instant) -> Duration {
        let seen = self.seen.lock();
        let newer = seen.partition_point(|(known, _)| *known <= number);
        seen.get(newer).map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_takes_the_place_of_those_at_its_height_and_above() {
        let mut announced = Announced::default();
        let head =
            |number: u64, hash: u8| Head { number, hash: B256::repeat_byte(hash), seen_at_us: 0 };
        for (number, hash) in [(1, 1), (2, 2), (4, 4), (u64::MAX, 9), (3, 0x13), (5, 0x15)] {
            announced.add(head(number, hash));
        }
        let known: Vec<(u64, u8)> =
            announced.blocks().map(|block| (block.number, block.hash.0[0])).collect();
        assert_eq!(known, [(1, 1), (2, 2), (3, 0x13), (5, 0x15)]);
        (10..200).for_each(|number| announced.add(head(number, 1)));
        assert_eq!(announced.blocks().count(), MAX_ANNOUNCED);
    }

    #[tokio::test(start_paused = true)]
    async fn says_how_long_a_head_has_been_old() {
        let heights = Heights::default();
        let second = Duration::from_secs(1);
        for number in [10, 11, 13, 12] {
            heights.saw(number, Instant::now());
            tokio::time::advance(second).await;
        }
        let now = Instant::now();
        assert_eq!(heights.behind_for(13, now), Duration::ZERO);
        assert_eq!(heights.behind_for(12, now), second * 2);
        assert_eq!(heights.behind_for(10, now), second * 3);
        assert_eq!(heights.behind_for(2, now), second * 4);
    }
}
