use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    compliance::{Compliance, SlotOutcome},
    schedule::Schedule,
};
use crate::{clock::Clock, metrics::Metrics};

/// How the endpoints of one provider are, as their pollers note it.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    provider: String,
    endpoints: Arc<Mutex<BTreeMap<String, Note>>>,
    metrics: Metrics,
    clock: Clock,
}

/// How one endpoint is.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) since: Instant,
    pub(crate) stale_after: Duration,
    /// When the last valid answer came.
    pub(crate) succeeded: Option<Instant>,
    /// Why the requests since then failed.
    pub(crate) failure: Option<String>,
    /// Why the last valid answer is not good enough.
    pub(crate) old_data: Option<String>,
    /// How long the last answer took.
    pub(crate) latency: Option<Duration>,
    pub(crate) slots: Compliance,
    schedule: Schedule,
}

impl Board {
    pub(crate) fn new(provider: &str, metrics: Metrics, clock: Clock) -> Self {
        Self { provider: provider.to_owned(), endpoints: Arc::default(), metrics, clock }
    }

    /// An endpoint is polled from now on, with the slots of its last poller.
    pub(crate) fn join(
        &self,
        endpoint: &str,
        stale_after: Duration,
        schedule: Schedule,
        slots: Compliance,
    ) {
        let note = Note {
            since: Instant::now(),
            stale_after,
            succeeded: None,
            failure: None,
            old_data: None,
            latency: None,
            slots,
            schedule,
        };
        self.endpoints.lock().insert(endpoint.to_owned(), note);
    }

    /// Changes what is noted of an endpoint.
    pub(crate) fn note(&self, endpoint: &str, change: impl FnOnce(&mut Note)) {
        if let Some(note) = self.endpoints.lock().get_mut(endpoint) {
            change(note);
        }
    }

    /// A slot of an endpoint is done; how it keeps to its schedule.
    pub(crate) fn slot_done(&self, endpoint: &str, slot_us: i64) -> Compliance {
        let now_us = self.clock.now_us();
        let mut slots = Compliance::default();
        self.note(endpoint, |note| {
            let outcomes = note.slots.done(&note.schedule, slot_us, now_us);
            self.count(endpoint, &outcomes);
            slots = note.slots.clone();
        });
        slots
    }

    /// People paused an endpoint: its slots do not count.
    pub(crate) fn excuse(&self, endpoint: &str) {
        let now_us = self.clock.now_us();
        self.note(endpoint, |note| note.slots.excuse(&note.schedule, now_us));
    }

    /// Decides about the slots that are over, and tells how everything is.
    pub(crate) fn look(&self) -> BTreeMap<String, Note> {
        let now_us = self.clock.now_us();
        let mut endpoints = self.endpoints.lock();
        for (endpoint, note) in endpoints.iter_mut() {
            let outcomes = note.slots.settle(&note.schedule, now_us);
            self.count(endpoint, &outcomes);
        }
        endpoints.clone()
    }

    fn count(&self, endpoint: &str, outcomes: &[SlotOutcome]) {
        for outcome in outcomes {
            let labels = [self.provider.as_str(), endpoint, outcome.as_str()];
            self.metrics.slots.with_label_values(&labels).inc();
        }
    }
}

impl Note {
    /// Whether there was no valid answer for too long.
    pub(crate) fn is_stale(&self) -> bool {
        self.succeeded.unwrap_or(self.since).elapsed() > self.stale_after
    }
}
