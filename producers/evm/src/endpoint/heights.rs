use std::{collections::VecDeque, time::Duration};

use crypto_intel_schemas::B256;
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
