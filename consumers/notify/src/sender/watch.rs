//! Reports how a destination does while its messages wait.

use std::{convert::Infallible, time::Duration};

use crypto_intel_nats::{Work, WorkQueue};
use crypto_intel_service::{LastError, Probe, now_us};

use futures::future::join_all;
use parking_lot::Mutex;

use super::{Lane, Setup};

const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The probe and the metric of one destination.
pub(super) struct Watch<'a> {
    setup: &'a Setup,
    probe: &'a Probe,
    last_error: LastError,
    lanes: Mutex<[LaneWatch; 2]>,
}

/// What waits in one lane.
#[derive(Debug, Clone, Copy, Default)]
struct LaneWatch {
    waiting: u64,
    /// Since when the message in hand has been waiting, microseconds.
    since_us: Option<i64>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(setup: &'a Setup, probe: &'a Probe, last_error: LastError) -> Self {
        Self { setup, probe, last_error, lanes: Mutex::default() }
    }

    /// A lane has a message in hand.
    pub(super) fn takes(&self, lane: Lane, work: &Work) {
        let since_us = Some(work.message.stored_at_us);
        self.set(lane, LaneWatch { waiting: work.pending + 1, since_us });
    }

    /// A lane is between two messages.
    pub(super) fn is_done(&self, lane: Lane, waiting: u64) {
        self.set(lane, LaneWatch { waiting, since_us: None });
        self.idle();
    }

    fn set(&self, lane: Lane, watch: LaneWatch) {
        let mut lanes = self.lanes.lock();
        lanes[lane as usize] = watch;
        let waiting: u64 = lanes.iter().map(|lane| lane.waiting).sum();
        let gauge = self.setup.metrics.waiting.with_label_values(&[&self.setup.name]);
        gauge.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Says that nothing is in hand, where that is so.
    pub(super) fn idle(&self) {
        if self.lanes.lock().iter().any(|lane| lane.since_us.is_some()) {
            return;
        }
        match self.setup.gate.closed() {
            Some(closed) => {
                self.probe
                    .unhealthy(format!("nothing can be sent: {}: {}", closed.why, closed.hint));
            }
            None => self.probe.healthy("nothing waits"),
        }
    }

    /// Tells the server that a message is being handled, and updates the probe. Never ends.
    pub(super) async fn beat(&self, lane: Lane, queue: &WorkQueue, work: &Work) -> Infallible {
        loop {
            tokio::time::sleep(BEAT_INTERVAL).await;
            confirm_progress(work).await;
            // Newer messages are not in the message's own count.
            let waiting = queue.waiting().await.unwrap_or(work.pending + 1);
            self.set(lane, LaneWatch { waiting, since_us: Some(work.message.stored_at_us) });
            self.update();
        }
    }

    fn update(&self) {
        let (waiting, since_us) = {
            let lanes = self.lanes.lock();
            let since_us = lanes.iter().filter_map(|lane| lane.since_us).min();
            (lanes.iter().map(|lane| lane.waiting).sum::<u64>(), since_us)
        };
        let oldest = (now_us() - since_us.unwrap_or_else(now_us)) / 1_000_000;
        let limit = self.setup.destination.policy().unhealthy_after_seconds;
        let text = format!("{waiting} waiting, the oldest for {oldest} s");
        if let Some(closed) = self.setup.gate.closed() {
            let since = (now_us() - closed.since_us) / 1_000_000;
            let next = (closed.next_us - now_us()).max(0) / 1_000_000;
            self.probe.unhealthy(format!(
                "nothing can be sent for {since} s: {}: {}; next try in {next} s, {text}",
                closed.why, closed.hint
            ));
        } else if oldest > i64::try_from(limit).unwrap_or(i64::MAX) {
            self.probe.unhealthy(format!("{text}{}", self.last_error.suffix()));
        } else {
            self.probe.healthy(format!("{text}{}", self.last_error.suffix()));
        }
    }
}

/// Tells the server that a message is being handled, so that it is not redelivered.
async fn confirm_progress(work: &Work) {
    if let Err(error) = work.in_progress().await {
        tracing::debug!(sequence = work.message.sequence, error = %format!("{error:#}"), "progress not reported");
    }
}

/// Does so periodically, for all of them. Never ends.
pub(crate) async fn report_progress(works: &[Work], each: impl Fn()) -> Infallible {
    loop {
        tokio::time::sleep(BEAT_INTERVAL).await;
        each();
        join_all(works.iter().map(confirm_progress)).await;
    }
}
