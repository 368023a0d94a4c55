//! What a poller tells of its endpoint: logs, metrics, probes.

use std::time::Duration;

use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;
use tokio::time::Instant;

use super::{failure::PollError, poller::EndpointPoller, throttle::Consequence};
use crate::fetch::Interpreted;

impl EndpointPoller {
    pub(super) fn report_consequence(&self, consequence: &Consequence, key: usize) {
        let provider = self.provider.name.as_str();
        let key = key + 1;
        match consequence {
            Consequence::None => {}
            Consequence::KeyRests(pause) => {
                let wait_seconds = pause.as_secs();
                tracing::warn!(
                    provider,
                    key,
                    wait_seconds,
                    "provider rejects several endpoints, the key rests"
                );
            }
            Consequence::KeyWaits(wait) => {
                let wait_seconds = wait.as_secs();
                tracing::warn!(
                    provider,
                    key,
                    wait_seconds,
                    "provider asked for a pause, the key waits"
                );
            }
            Consequence::ProviderWaits(wait) => {
                let wait_seconds = wait.as_secs();
                tracing::warn!(
                    provider,
                    wait_seconds,
                    "provider asked for a pause, all its endpoints wait"
                );
            }
            Consequence::ProviderPauses => {
                tracing::warn!(provider, "provider keeps failing, pausing requests");
            }
            Consequence::KeySpent(window) => {
                let window = window.as_str();
                tracing::warn!(
                    provider,
                    key,
                    window,
                    "provider says that the quota is spent, the key rests until it resets"
                );
            }
        }
        self.metrics.held.with_label_values(&[provider]).set(i64::from(self.pacer.is_held()));
    }

    pub(super) fn report_success(&self, interpreted: &Interpreted, slot_us: i64) {
        let now = now_us();
        self.metrics.last_success.with_label_values(&self.labels()).set(now / 1_000_000);
        // The slot's own time means that the provider gave none.
        let stated = interpreted.events.iter().map(Event::event_at_us).filter(|at| *at != slot_us);
        let newest = stated.max().unwrap_or(now);
        let age = Duration::from_micros(now.saturating_sub(newest).try_into().unwrap_or(0));
        let old_data = self.endpoint.max_data_age.filter(|limit| age > *limit).map(|limit| {
            let (age, limit) = (age.as_secs(), limit.as_secs());
            format!("the provider answers, but its newest data is {age} s old (limit {limit} s)")
        });
        self.board.note(&self.endpoint.name, |note| {
            note.succeeded = Some(Instant::now());
            note.failure = None;
            note.old_data.clone_from(&old_data);
        });
        match old_data {
            Some(reason) => self.report_unhealthy(&reason),
            None => {
                self.probe.healthy(format!("{} events", interpreted.events.len()));
                self.freshness.fresh();
            }
        }
    }

    pub(super) fn report_failure(
        &self,
        error: &PollError,
        slot_us: i64,
        delay: Duration,
        last_success: Option<Instant>,
    ) {
        let [provider, endpoint] = self.labels();
        let delay_ms = delay.as_millis() as u64;
        let slot = slot_us / 1_000_000;
        if let PollError::Publish(error) = error {
            // Retrying does not help: limits or permissions of the server must change.
            tracing::error!(provider, endpoint, slot, delay_ms, error = %format!("{error:#}"), "polled events cannot be published");
        } else {
            tracing::warn!(provider, endpoint, slot, delay_ms, error = %format!("{error:#}"), "poll failed");
        }
        self.board.note(&self.endpoint.name, |note| note.failure = Some(format!("{error:#}")));
        if last_success.is_none_or(|last| last.elapsed() >= self.endpoint.stale_after) {
            self.report_unhealthy(&format!("{error:#}"));
        }
    }

    fn report_unhealthy(&self, reason: &str) {
        self.probe.unhealthy(reason);
        self.freshness.failed(reason);
    }

    pub(super) fn report_problems(&self, interpreted: &Interpreted) {
        let labels = self.labels();
        let count = interpreted.problems.len();
        self.metrics.invalid.with_label_values(&labels).inc_by(count as u64);
        let [provider, endpoint] = labels;
        if let Some(first) = interpreted.problems.first() {
            tracing::warn!(
                provider,
                endpoint,
                count,
                first,
                "parts of an answer cannot be turned into events"
            );
        }
    }

    pub(super) fn report_missing(&self, known: &mut Vec<String>, interpreted: &Interpreted) {
        let missing = &interpreted.missing;
        let labels = self.labels();
        let gauge = self.metrics.missing.with_label_values(&labels);
        gauge.set(i64::try_from(missing.len()).unwrap_or(i64::MAX));
        if missing == known {
            return;
        }
        let [provider, endpoint] = labels;
        if missing.is_empty() {
            tracing::info!(provider, endpoint, "everything requested is in the answer again");
        } else {
            let count = missing.len();
            let names = missing.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            tracing::warn!(provider, endpoint, count, names, "requested, but not in the answer");
        }
        known.clone_from(missing);
    }

    pub(super) fn count_wait(&self, waited: Duration) {
        let counter = self.metrics.quota_wait.with_label_values(&[self.provider.name.as_str()]);
        counter.inc_by(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
    }
}
