//! Reports how a destination does while its messages wait.

use std::{convert::Infallible, time::Duration};

use crypto_intel_nats::{Work, WorkQueue};
use crypto_intel_service::{LastError, Probe, now_us};

use super::Setup;

const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The probe and the metric of one destination.
pub(super) struct Watch<'a> {
    pub(super) setup: &'a Setup,
    pub(super) probe: &'a Probe,
    pub(super) last_error: LastError,
}

impl Watch<'_> {
    pub(super) fn waiting(&self, messages: u64) {
        let waiting = self.setup.metrics.waiting.with_label_values(&[&self.setup.name]);
        waiting.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Between two messages.
    pub(super) fn idle(&self) {
        match self.setup.gate.closed() {
            Some(closed) => {
                self.probe
                    .unhealthy(format!("nothing can be sent: {}: {}", closed.why, closed.hint));
            }
            None => self.probe.healthy("nothing waits"),
        }
    }

    /// Tells the server that a message is being handled, and updates the probe. Never ends.
    pub(super) async fn beat(&self, queue: &WorkQueue, work: &Work) -> Infallible {
        loop {
            tokio::time::sleep(BEAT_INTERVAL).await;
            confirm_progress(work).await;
            // Newer messages are not in the message's own count.
            let waiting = queue.waiting().await.unwrap_or(work.pending + 1);
            self.waiting(waiting);
            self.update(waiting, work);
        }
    }

    fn update(&self, waiting: u64, work: &Work) {
        let oldest = (now_us() - work.message.stored_at_us) / 1_000_000;
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

/// Does so periodically. Never ends.
pub(crate) async fn report_progress(work: &Work, each: impl Fn()) -> Infallible {
    loop {
        tokio::time::sleep(BEAT_INTERVAL).await;
        each();
        confirm_progress(work).await;
    }
}
