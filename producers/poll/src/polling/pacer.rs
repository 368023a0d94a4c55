use std::{sync::Arc, time::Duration};

use crypto_intel_service::Backoff;
use parking_lot::Mutex;

use super::{
    schedule::Schedule,
    throttle::{Consequence, Pass, ProviderThrottle},
    verdict::Verdict,
};
use crate::clock::Clock;

/// Delays between attempts within one slot.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// Attempts within one slot are at least this part of it apart.
const SLOT_PART: u32 = 20;

/// Decides when one endpoint is asked: once per slot, again soon after a failure, as the provider's throttle permits.
/// The next request is made only after the last one is over.
pub(crate) struct Pacer {
    name: String,
    every: Duration,
    weight: u32,
    schedule: Schedule,
    throttle: Arc<ProviderThrottle>,
    clock: Clock,
    /// Locked only so that it can be shared.
    delays: Mutex<Box<dyn Iterator<Item = Duration> + Send>>,
}

/// Leave for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Beginning of the slot that it is for, microseconds.
    pub(crate) slot_us: i64,
    pub(crate) pass: Pass,
}

/// Whether and when a failed request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Soon: another attempt may succeed.
    Soon,
    /// When the throttle permits it, which knows of a pause or of another key.
    WhenPermitted,
    /// In the next slot: the same request has the same answer.
    NextSlot,
}

impl Pacer {
    /// `label` is `<provider>.<endpoint>`.
    pub(crate) fn new(
        label: &str,
        name: &str,
        every: Duration,
        weight: u32,
        throttle: Arc<ProviderThrottle>,
        clock: Clock,
    ) -> Self {
        let schedule = Schedule::new(every, label);
        let delays: Box<dyn Iterator<Item = Duration> + Send> = Box::new(BACKOFF.delays());
        let delays = Mutex::new(delays);
        Self { name: name.to_owned(), every, weight, schedule, throttle, clock, delays }
    }

    pub(crate) const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Waits for the next request, after the slot that is done.
    pub(crate) async fn turn(&self, done_us: Option<i64>) -> Turn {
        self.schedule.wait_after(done_us, self.clock).await;
        let pass = self.throttle.pass(&self.name, self.weight).await;
        // The throttle may have waited: the slot is that of the request.
        Turn { slot_us: self.schedule.slot_at(self.clock.now_us()), pass }
    }

    /// Waits for a further request of the same turn, for the next page of an answer.
    pub(crate) async fn further(&self) -> Pass {
        self.throttle.pass(&self.name, self.weight).await
    }

    /// Takes note of what came of a request.
    pub(crate) async fn report(&self, turn: &Turn, verdict: &Verdict) -> Consequence {
        self.throttle.report(&self.name, self.weight, turn.pass.key, verdict).await
    }

    /// Whether all requests to the provider are held back.
    pub(crate) fn is_held(&self) -> bool {
        self.throttle.is_open()
    }

    /// The slot is done.
    pub(crate) fn succeeded(&mut self) {
        *self.delays.get_mut() = Box::new(BACKOFF.delays());
    }

    /// How long to wait after a failure, before the throttle is asked again.
    pub(crate) fn delay_after(&mut self, turn: &Turn, again: Again) -> Duration {
        let until_next = self.schedule.until_next(turn.slot_us, self.clock.now_us());
        let delay = self.delays.get_mut().next().unwrap_or(BACKOFF.longest);
        let apart = (self.every / SLOT_PART).min(BACKOFF.longest);
        match again {
            // What is left of the day or month is for the slots to come.
            Again::Soon if turn.pass.nearly_spent => until_next.max(delay),
            Again::Soon => delay.max(apart),
            Again::WhenPermitted => BACKOFF.first,
            Again::NextSlot => until_next.max(delay),
        }
    }
}

impl std::fmt::Debug for Pacer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pacer").field("name", &self.name).finish_non_exhaustive()
    }
}
