use serde::{Deserialize, Serialize};

use super::{
    calendar::{begin_us, end_us},
    limits::{Limits, Window},
    sliding::Sliding,
};

/// How far the clocks of two instances may differ: within it, a day or month that has not begun here goes on.
const CLOCK_SKEW_US: i64 = 3_600_000_000;
/// Percent of a day or month from which on it is nearly spent.
pub(crate) const WARN_PERCENT: u64 = 80;

/// What of the quota of one key is used: the value of its entry in KV. Every rule errs to the safe side: what may have been
/// sent counts as sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    second: Sliding,
    minute: Sliding,
    day: Counter,
    month: Counter,
    /// When the whole burst is there again, microseconds.
    burst_whole_us: i64,
}

/// What is used of a day or month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Counter {
    begin_us: i64,
    end_us: i64,
    used: u64,
    /// The provider said that nothing is left until then, whatever was counted here.
    spent_until_us: i64,
    /// Whether it was said that this period is nearly spent.
    warned: bool,
}

/// What a request has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) window: Window,
    pub(crate) until_us: i64,
}

impl Usage {
    /// Whether a request of this weight may be sent now, and if not, what it waits for longest.
    pub(crate) fn check(
        &mut self,
        limits: &Limits,
        weight: u32,
        now_us: i64,
    ) -> Result<(), Blocked> {
        self.roll(now_us);
        // A clock that was ahead delays the burst by no more than itself.
        let burst_us = i64::from(limits.burst).saturating_mul(limits.unit_us());
        self.burst_whole_us = self.burst_whole_us.min(now_us.saturating_add(burst_us));
        let current = &*self;
        let mut longest: Option<Blocked> = None;
        let mut wait = |window: Window, until_us: i64| {
            if until_us > now_us && longest.is_none_or(|blocked| blocked.until_us < until_us) {
                longest = Some(Blocked { window, until_us });
            }
        };
        // The burst is there again at that moment; so much of it may be missing that the weight is left.
        let spare = i64::from(limits.burst.saturating_sub(weight)).saturating_mul(limits.unit_us());
        let shortest = if limits.second.is_some() { Window::Second } else { Window::Minute };
        wait(shortest, current.burst_whole_us.saturating_sub(spare));
        for (window, limit) in limits.windows() {
            let sliding = match window {
                Window::Second => &current.second,
                Window::Minute => &current.minute,
                Window::Day | Window::Month => continue,
            };
            wait(window, sliding.room_at(window, limit, weight, now_us));
        }
        for window in [Window::Day, Window::Month] {
            let counter = current.counter(window);
            wait(window, counter.spent_until_us);
            let used = counter.used.saturating_add(weight.into());
            if limits.of(window).is_some_and(|limit| used > limit.into()) {
                wait(window, counter.end_us);
            }
        }
        longest.map_or(Ok(()), Err)
    }

    /// Counts a request of this weight.
    pub(crate) fn take(&mut self, limits: &Limits, weight: u32, now_us: i64) {
        self.roll(now_us);
        self.add(limits, weight, now_us);
        let gone = i64::from(weight).saturating_mul(limits.unit_us());
        self.burst_whole_us = self.burst_whole_us.max(now_us).saturating_add(gone);
    }

    /// The request that was counted with this weight has cost so much instead. What it cost less is given back only to
    /// day and month.
    pub(crate) fn correct(&mut self, limits: &Limits, weight: u32, cost: u64, now_us: i64) {
        self.roll(now_us);
        let weight = u64::from(weight);
        if cost > weight {
            self.add(limits, u32::try_from(cost - weight).unwrap_or(u32::MAX), now_us);
        } else {
            for window in [Window::Day, Window::Month] {
                let counter = self.counter_mut(window);
                counter.used = counter.used.saturating_sub(weight - cost);
            }
        }
    }

    /// The provider says how much of a window is used, and perhaps when it ends. More than was counted here is
    /// believed, less is not: another answer may be under way.
    pub(crate) fn state(&mut self, window: Window, used: u64, ends_us: Option<i64>, now_us: i64) {
        self.roll(now_us);
        match window {
            Window::Second => self.second.state(window, used, ends_us, now_us),
            Window::Minute => self.minute.state(window, used, ends_us, now_us),
            Window::Day | Window::Month => {
                let counter = self.counter_mut(window);
                counter.used = counter.used.max(used);
            }
        }
    }

    /// The provider says that nothing of a day or month is left: until then, or until it ends.
    pub(crate) fn spend(&mut self, window: Window, until_us: Option<i64>, now_us: i64) {
        self.roll(now_us);
        let until_us = until_us.unwrap_or_else(|| end_us(window, now_us));
        let counter = self.counter_mut(window);
        counter.spent_until_us = counter.spent_until_us.max(until_us);
    }

    /// Units used of a window so far.
    pub(crate) fn used(&self, window: Window, now_us: i64) -> u64 {
        let mut current = self.clone();
        current.roll(now_us);
        match window {
            Window::Second => current.second.used(window, now_us),
            Window::Minute => current.minute.used(window, now_us),
            Window::Day | Window::Month => current.counter(window).used,
        }
    }

    /// The day or month that a request of weight 1 waits for.
    pub(crate) fn spent(&self, limits: &Limits, now_us: i64) -> Option<Blocked> {
        let blocked = self.clone().check(limits, 1, now_us).err()?;
        blocked.window.is_calendar().then_some(blocked)
    }

    /// The longest of day and month that is nearly spent.
    pub(crate) fn nearly_spent(&self, limits: &Limits, now_us: i64) -> Option<Window> {
        let nearly = |window: &Window| {
            let used = self.used(*window, now_us);
            let limit = limits.of(*window).map(u64::from);
            limit.is_some_and(|limit| used * 100 >= limit * WARN_PERCENT)
        };
        [Window::Month, Window::Day].into_iter().find(nearly)
    }

    /// The days and months that are nearly spent and were not named before.
    pub(crate) fn warn(&mut self, limits: &Limits, now_us: i64) -> Vec<Window> {
        self.roll(now_us);
        let mut nearly = Vec::new();
        for window in [Window::Day, Window::Month] {
            let Some(limit) = limits.of(window) else { continue };
            let counter = self.counter_mut(window);
            if !counter.warned && counter.used * 100 >= u64::from(limit) * WARN_PERCENT {
                counter.warned = true;
                nearly.push(window);
            }
        }
        nearly
    }

    /// Whether two moments are of the same day and month as counted here.
    pub(crate) fn same_periods(&self, one_us: i64, other_us: i64) -> bool {
        let period = |now_us: i64| {
            let mut rolled = self.clone();
            rolled.roll(now_us);
            (rolled.day.begin_us, rolled.month.begin_us)
        };
        period(one_us) == period(other_us)
    }

    /// Whether day and month are as in the other.
    pub(crate) fn same_counts(&self, other: &Self) -> bool {
        self.day == other.day && self.month == other.month
    }

    fn add(&mut self, limits: &Limits, units: u32, now_us: i64) {
        // A window without a limit needs no slices.
        if limits.second.is_some() {
            self.second.add(Window::Second, units, now_us);
        }
        if limits.minute.is_some() {
            self.minute.add(Window::Minute, units, now_us);
        }
        self.day.used = self.day.used.saturating_add(units.into());
        self.month.used = self.month.used.saturating_add(units.into());
    }

    /// Forgets what no longer counts.
    fn roll(&mut self, now_us: i64) {
        self.second.roll(Window::Second, now_us);
        self.minute.roll(Window::Minute, now_us);
        self.day.roll(Window::Day, now_us);
        self.month.roll(Window::Month, now_us);
    }

    const fn counter(&self, window: Window) -> &Counter {
        match window {
            Window::Month => &self.month,
            _ => &self.day,
        }
    }

    const fn counter_mut(&mut self, window: Window) -> &mut Counter {
        match window {
            Window::Month => &mut self.month,
            _ => &mut self.day,
        }
    }
}

impl Counter {
    fn roll(&mut self, window: Window, now_us: i64) {
        if self.spent_until_us > 0 {
            // No longer than the rest of this period and another one.
            let end_us = end_us(window, now_us);
            let latest_us = end_us.saturating_add(end_us - begin_us(window, now_us));
            self.spent_until_us = self.spent_until_us.min(latest_us);
            if self.spent_until_us <= now_us {
                self.spent_until_us = 0;
            }
        }
        let is_current =
            (self.begin_us.saturating_sub(CLOCK_SKEW_US)..self.end_us).contains(&now_us);
        if is_current {
            return;
        }
        // The clock was far ahead and is right now: what was counted since counts for today.
        let was_ahead = self.begin_us > now_us;
        let begin_us = begin_us(window, now_us);
        let end_us = end_us(window, now_us);
        *self = match was_ahead {
            true => Self { begin_us, end_us, ..self.clone() },
            false => {
                Self { begin_us, end_us, spent_until_us: self.spent_until_us, ..Self::default() }
            }
        };
    }
}
