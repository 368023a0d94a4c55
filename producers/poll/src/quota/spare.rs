//! What the schedules of a provider leave of its quota, for requests that can wait.

use std::collections::VecDeque;

use super::{
    calendar::{begin_us, end_us},
    limits::{Limits, Window},
    usage::{Blocked, Usage},
};

/// Percent of a window that schedules and the past may use together. The rest is for repetitions; it is below what counts
/// as nearly spent.
const SHARE_PERCENT: u128 = 75;
const MINUTE_US: i64 = 60_000_000;
const DAY_US: i128 = 86_400_000_000;
/// When to look again at a day or month that leaves nothing: schedules may use less than they could.
const LOOK_US: i64 = 60_000_000;

/// The part of a quota that the past of a provider may use.
#[derive(Debug)]
pub(crate) struct Spare {
    /// What the schedules use in a day, thousandths of a unit.
    live_per_day: u128,
    /// What was sent for the past within the last minute: when, and units.
    sent: VecDeque<(i64, u32)>,
}

impl Spare {
    /// `live` is of each endpoint that is polled: units of one poll, and its period in microseconds.
    pub(crate) fn new(live: impl Iterator<Item = (u32, u128)>) -> Self {
        let units = live.map(|(units, every_us)| {
            u128::from(units) * 1_000 * DAY_US.unsigned_abs() / every_us.max(1)
        });
        Self { live_per_day: units.sum(), sent: VecDeque::new() }
    }

    /// Whether a request of this weight leaves enough to the schedules. The second only paces, and is shared in turn.
    pub(crate) fn check(
        &mut self,
        usage: &Usage,
        limits: &Limits,
        weight: u32,
        now_us: i64,
    ) -> Result<(), Blocked> {
        while self.sent.front().is_some_and(|(sent_us, _)| *sent_us <= now_us - MINUTE_US) {
            self.sent.pop_front();
        }
        for (window, limit) in limits.windows() {
            // What live has used of a window that slides is what it will use: only ours is counted there.
            let (used, rest_us, again_us) = match window {
                Window::Second => continue,
                Window::Minute => {
                    let ours = self.sent.iter().map(|(_, units)| u64::from(*units)).sum();
                    let first = self.sent.front().map_or(now_us, |(sent_us, _)| *sent_us);
                    (ours, MINUTE_US, first + MINUTE_US)
                }
                Window::Day | Window::Month => {
                    let rest_us = end_us(window, now_us) - now_us.max(begin_us(window, now_us));
                    (usage.used(window, now_us), rest_us, now_us + LOOK_US)
                }
            };
            let live =
                self.live_per_day * i128::from(rest_us).unsigned_abs() / DAY_US.unsigned_abs();
            let wanted = (u128::from(used) + u128::from(weight)) * 1_000 + live;
            if wanted > u128::from(limit) * 10 * SHARE_PERCENT {
                return Err(Blocked { window, until_us: again_us.max(now_us + 1_000_000) });
            }
        }
        Ok(())
    }

    /// Takes note of a request.
    pub(crate) fn took(&mut self, weight: u32, now_us: i64) {
        self.sent.push_back((now_us, weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_US: i64 = 1_798_761_600_000_000 - 43_200_000_000;

    fn limits(minute: Option<u32>, day: Option<u32>) -> Limits {
        Limits { minute, day, burst: 1_000, ..Limits::default() }
    }

    #[test]
    fn the_past_takes_of_a_minute_what_schedules_leave() {
        // Four of ten a minute are for the schedules.
        let mut spare = Spare::new([(2, 30_000_000)].into_iter());
        let limits = limits(Some(10), None);
        let mut sent = 0;
        for second in 0..180 {
            let now_us = NOON_US + second * 1_000_000;
            if spare.check(&Usage::default(), &limits, 1, now_us).is_ok() {
                spare.took(1, now_us);
                sent += 1;
            }
        }
        assert_eq!(sent, 9, "three a minute");
    }

    #[test]
    fn the_rest_of_a_day_is_kept_for_the_schedules() {
        // 24 a day, 12 of them after noon.
        let mut spare = Spare::new([(1, 3_600_000_000)].into_iter());
        let limits = limits(None, Some(40));
        let used = |units: u32| {
            let mut usage = Usage::default();
            usage.take(&limits, units, NOON_US);
            usage
        };
        assert_eq!(spare.check(&used(17), &limits, 1, NOON_US), Ok(()));
        let blocked = spare.check(&used(18), &limits, 1, NOON_US);
        assert_eq!(blocked.map_err(|blocked| blocked.window), Err(Window::Day));
    }
}
