use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::schedule::Schedule;

/// How many slots are remembered.
pub(super) const REMEMBERED: usize = 100;
/// Longest time after its beginning at which a slot is done on time.
const MAX_TOLERANCE_US: i64 = 300_000_000;

/// How long after its beginning a slot of this length is done on time, microseconds.
pub(crate) fn tolerance_us(every_us: i64) -> i64 {
    (every_us / 2).min(MAX_TOLERANCE_US)
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotOutcome {
    /// A valid answer came in its first half, or in its first 5 minutes.
    OnTime,
    /// A valid answer came later in it.
    Late,
    /// It passed without one.
    Skipped,
}

impl SlotOutcome {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::OnTime, Self::Late, Self::Skipped];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::Late => "late",
            Self::Skipped => "skipped",
        }
    }
}

/// How an endpoint keeps to its schedule. Slots that passed while it was not polled are not made up for, for an API tells only
/// how things are now: they are skipped, and the newest is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Compliance {
    /// Beginning of the first slot that is not decided yet; absent before the first poll.
    next_us: Option<i64>,
    /// The newest last.
    slots: VecDeque<SlotOutcome>,
}

impl Compliance {
    /// Decides about the slots that are over; what became of each of them.
    pub(crate) fn settle(&mut self, schedule: &Schedule, now_us: i64) -> Vec<SlotOutcome> {
        let current_us = schedule.slot_at(now_us);
        // The slot that had begun before polling did is not counted.
        let next_us = *self.next_us.get_or_insert(current_us.saturating_add(schedule.every_us()));
        if next_us >= current_us {
            return Vec::new();
        }
        self.next_us = Some(current_us);
        let passed = current_us.saturating_sub(next_us) / schedule.every_us();
        let passed = usize::try_from(passed).unwrap_or(REMEMBERED).min(REMEMBERED);
        let skipped = vec![SlotOutcome::Skipped; passed];
        self.remember(&skipped);
        skipped
    }

    /// The slots up to now do not count: people paused it.
    pub(crate) fn excuse(&mut self, schedule: &Schedule, now_us: i64) {
        self.next_us = Some(schedule.slot_at(now_us).saturating_add(schedule.every_us()));
    }

    /// A valid answer came for this slot; what became of it and of those before.
    pub(crate) fn done(
        &mut self,
        schedule: &Schedule,
        slot_us: i64,
        now_us: i64,
    ) -> Vec<SlotOutcome> {
        let mut outcomes = self.settle(schedule, slot_us);
        if self.next_us.is_some_and(|next_us| next_us > slot_us) {
            return outcomes;
        }
        let tolerance_us = tolerance_us(schedule.every_us());
        let outcome = match now_us.saturating_sub(slot_us) <= tolerance_us {
            true => SlotOutcome::OnTime,
            false => SlotOutcome::Late,
        };
        self.next_us = Some(slot_us.saturating_add(schedule.every_us()));
        self.remember(&[outcome]);
        outcomes.push(outcome);
        outcomes
    }

    /// How many of the remembered slots were done on time, and how many there are.
    pub(crate) fn on_time(&self) -> (usize, usize) {
        let on_time = self.slots.iter().filter(|outcome| **outcome == SlotOutcome::OnTime);
        (on_time.count(), self.slots.len())
    }

    /// How many slots are remembered.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.slots.len()
    }

    fn remember(&mut self, outcomes: &[SlotOutcome]) {
        self.slots.extend(outcomes);
        while self.slots.len() > REMEMBERED {
            self.slots.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn slots_are_on_time_late_or_skipped() {
        let schedule = Schedule::new(Duration::from_secs(60), "p.e");
        let mut slots = Compliance::default();
        let mut done = |slot: i64, at: i64| slots.done(&schedule, slot * SECOND, at * SECOND);
        assert_eq!(done(600, 650), [], "polling began in the middle of it");
        assert_eq!(done(660, 662), [SlotOutcome::OnTime]);
        assert_eq!(done(660, 663), [], "once");
        assert_eq!(done(720, 755), [SlotOutcome::Late]);
        let skipped = SlotOutcome::Skipped;
        assert_eq!(done(900, 901), [skipped, skipped, SlotOutcome::OnTime], "the newest is done");
        assert_eq!(slots.settle(&schedule, 1_019 * SECOND), [], "its successor is not over");
        assert_eq!(slots.settle(&schedule, 1_020 * SECOND), [skipped]);
        assert_eq!(slots.on_time(), (2, 6));
    }

    #[test]
    fn a_long_absence_costs_no_memory() {
        let schedule = Schedule::new(Duration::from_secs(1), "p.e");
        let mut slots = Compliance::default();
        slots.done(&schedule, 0, 0);
        let year = 365 * 86_400 * SECOND;
        assert_eq!(slots.done(&schedule, year, year).len(), REMEMBERED + 1);
        assert_eq!(slots.on_time(), (1, REMEMBERED));
    }

    #[test]
    fn of_a_long_slot_only_the_first_minutes_are_on_time() {
        let schedule = Schedule::new(Duration::from_secs(86_400), "p.e");
        let mut slots = Compliance::default();
        slots.done(&schedule, 0, 0);
        let day = 86_400 * SECOND;
        assert_eq!(slots.done(&schedule, day, day + 301 * SECOND), [SlotOutcome::Late]);
        assert_eq!(slots.done(&schedule, 2 * day, 2 * day + 299 * SECOND), [SlotOutcome::OnTime]);
    }
}
