use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crypto_intel_service::Backoff;
use tokio::time::Instant;

use super::queue::{GapReason, QueuedGap};

/// How long a gap of blocks without traces rests after an attempt.
const RETRY_OF_TRACES: Backoff =
    Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(3_600) };

/// How often it is checked whether such a gap is final by now.
const LOOK_FOR_FINAL: Duration = Duration::from_secs(4);

/// Which gap comes next: not those that cannot be filled now, and none in a state before our last write.
#[derive(Debug, Default)]
pub(crate) struct GapSchedule {
    /// When a gap is tried again, and how often it was.
    resting: HashMap<String, (Instant, u32)>,
    /// The revision that a gap has since it was moved here, and whether it was filled whole.
    moved: HashMap<String, (u64, bool)>,
}

impl GapSchedule {
    pub(crate) fn next(&mut self, listed: &BTreeMap<String, QueuedGap>) -> Option<QueuedGap> {
        self.resting.retain(|key, _| listed.contains_key(key));
        self.moved.retain(|key, _| listed.contains_key(key));
        let now = Instant::now();
        let ready = listed.values().filter(|queued| self.is_ready(queued, now));
        ready.min_by_key(|queued| queued.gap.order()).cloned()
    }

    /// All pasts of addresses that may come next.
    pub(crate) fn ready_pasts(&self, listed: &BTreeMap<String, QueuedGap>) -> Vec<QueuedGap> {
        let now = Instant::now();
        let pasts = listed.values().filter(|queued| queued.gap.address.is_some());
        pasts.filter(|queued| self.is_ready(queued, now)).cloned().collect()
    }

    fn is_ready(&self, queued: &QueuedGap, now: Instant) -> bool {
        let rested = self.resting.get(&queued.key).is_none_or(|(until, _)| *until <= now);
        let is_new = self.moved.get(&queued.key).is_none_or(|(revision, filled)| match filled {
            true => queued.revision > *revision,
            false => queued.revision >= *revision,
        });
        rested && is_new
    }

    pub(crate) fn wakes(&self) -> Option<Instant> {
        self.resting.values().map(|(until, _)| *until).min()
    }

    pub(crate) fn goes_on(&mut self, queued: &QueuedGap) {
        self.resting.remove(&queued.key);
        self.knows(queued);
    }

    pub(crate) fn knows(&mut self, queued: &QueuedGap) {
        let filled = queued.gap.remaining() == 0;
        self.moved.insert(queued.key.clone(), (queued.revision, filled));
    }

    /// It is not late: its chain is not final there.
    pub(crate) fn waits(&mut self, key: &str) {
        self.resting.insert(key.to_owned(), (Instant::now() + LOOK_FOR_FINAL, 0));
    }

    pub(crate) fn rests(&mut self, queued: &QueuedGap) {
        let retry = match queued.gap.reason {
            GapReason::Traces => RETRY_OF_TRACES,
            _ => Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
        };
        let tries = self.resting.get(&queued.key).map_or(0, |(_, tries)| *tries);
        let delay = retry.delays().nth(tries as usize).unwrap_or(retry.longest);
        self.resting.insert(queued.key.clone(), (Instant::now() + delay, tries + 1));
    }
}
