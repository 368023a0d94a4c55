use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::clock::Clock;

/// When an endpoint is polled: once per slot. Slots are aligned to the epoch, so that every instance
/// names them alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    every_us: i64,
    /// Delay of the first attempt after the beginning of the slot, so that endpoints with the same
    /// period are not polled at the same moment.
    phase_us: i64,
}

impl Schedule {
    /// `name` decides the phase: at most a twentieth of the period and 2 s.
    pub(crate) fn new(every: Duration, name: &str) -> Self {
        let every_us = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let span = (every_us / 20).clamp(1, 2_000_000);
        let phase_us = i64::try_from(hasher.finish() % span.unsigned_abs()).unwrap_or(0);
        Self { every_us, phase_us }
    }

    /// Length of a slot, microseconds.
    pub(crate) const fn every_us(&self) -> i64 {
        self.every_us
    }

    /// Beginning of the slot of this moment, microseconds.
    pub(crate) fn slot_at(&self, now_us: i64) -> i64 {
        now_us.div_euclid(self.every_us) * self.every_us
    }

    /// How long until the first attempt of the slot after `slot_us`.
    pub(crate) fn until_next(&self, slot_us: i64, now_us: i64) -> Duration {
        let due = slot_us.saturating_add(self.every_us).saturating_add(self.phase_us);
        Duration::from_micros(u64::try_from(due.saturating_sub(now_us)).unwrap_or(0))
    }

    /// Waits for the first slot after `done_us`; returns at once when there is none or when `done_us`
    /// is in the future.
    pub(crate) async fn wait_after(&self, done_us: Option<i64>, clock: Clock) {
        let Some(done_us) = done_us else { return };
        loop {
            let now = clock.now_us();
            let wait = self.until_next(done_us, now);
            if wait.is_zero() {
                return;
            }
            if self.slot_at(now) < done_us {
                tracing::warn!(
                    done_us,
                    now_us = now,
                    "the last poll is in the future: the clock was set back, polling now"
                );
                return;
            }
            tokio::time::sleep(clock.single_sleep(wait)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn slots_are_aligned_to_the_epoch() {
        let schedule = Schedule::new(Duration::from_secs(30), "coingecko:simple-price");
        assert_eq!(schedule.slot_at(1_700_000_009 * SECOND + 5), 1_699_999_980 * SECOND);
        assert_eq!(schedule.slot_at(60 * SECOND), 60 * SECOND);
        assert_eq!(schedule.slot_at(60 * SECOND - 1), 30 * SECOND);
    }

    #[test]
    fn the_next_slot_begins_after_a_small_phase_that_depends_on_the_name() {
        let schedule = Schedule::new(Duration::from_secs(30), "a:b");
        let wait = schedule.until_next(0, 10 * SECOND);
        assert!(
            wait >= Duration::from_secs(20) && wait < Duration::from_millis(21_500),
            "{wait:?}"
        );
        let phases: std::collections::BTreeSet<i64> = (0..20)
            .map(|index| Schedule::new(Duration::from_secs(30), &format!("p:{index}")).phase_us)
            .collect();
        assert!(phases.len() > 10, "phases are spread: {phases:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_from_the_future_does_not_stop_polling() {
        let schedule = Schedule::new(Duration::from_secs(30), "a:b");
        let clock = Clock::paused_at(1_700_000_000 * SECOND);
        let future = schedule.slot_at(clock.now_us()) + 3_600 * SECOND;
        // Would be an hour otherwise; the warning path returns at once.
        let started = tokio::time::Instant::now();
        schedule.wait_after(Some(future), clock).await;
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}
