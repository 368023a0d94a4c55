use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use crypto_intel_nats::Nats;
use crypto_intel_service::{Probe, now_us};
use crypto_intel_store::StreamPosition;

use crate::metrics::Metrics;

/// How one stream progresses: its stages write it, its probe and gauges show it.
#[derive(Debug)]
pub(crate) struct Status {
    stream: String,
    nats: Nats,
    probe: Arc<Probe>,
    metrics: Metrics,
    max_lag_seconds: u64,
    /// Messages that were read and not yet applied.
    under_way: AtomicU64,
    /// Messages that the stream held after the last one read.
    pending: AtomicU64,
    /// Store time of the last message applied, microseconds.
    applied_at_us: AtomicI64,
    /// Sequence of the last message applied.
    applied_sequence: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Status {
    pub(crate) fn new(
        stream: &str,
        nats: &Nats,
        probe: Arc<Probe>,
        metrics: &Metrics,
        max_lag_seconds: u64,
    ) -> Self {
        Self {
            stream: stream.to_owned(),
            nats: nats.clone(),
            probe,
            metrics: metrics.clone(),
            max_lag_seconds,
            under_way: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            applied_at_us: AtomicI64::new(0),
            applied_sequence: AtomicU64::new(0),
            failure: Mutex::new(None),
        }
    }

    /// A new session begins at a position of this store time.
    pub(crate) fn begin(&self, sequence: u64, stored_at_us: i64) {
        self.under_way.store(0, Ordering::Relaxed);
        self.pending.store(0, Ordering::Relaxed);
        self.applied_at_us.store(stored_at_us, Ordering::Relaxed);
        self.applied_sequence.store(sequence, Ordering::Relaxed);
    }

    pub(crate) fn applied_sequence(&self) -> u64 {
        self.applied_sequence.load(Ordering::Relaxed)
    }

    /// What is in the way at present.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn failed(&self, reason: String) {
        self.probe.unhealthy(reason.clone());
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    pub(crate) fn received(&self, messages: u64, pending: u64) {
        self.under_way.fetch_add(messages, Ordering::Relaxed);
        self.pending.store(pending, Ordering::Relaxed);
        self.metrics.received.with_label_values(&[&self.stream]).inc_by(messages);
    }

    pub(crate) fn applied(&self, messages: u64, end: StreamPosition) {
        self.under_way.fetch_sub(messages, Ordering::Relaxed);
        self.applied_at_us.store(end.stored_at_us, Ordering::Relaxed);
        self.applied_sequence.store(end.sequence, Ordering::Relaxed);
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Shows where the stream is: gauges and probe.
    pub(crate) fn report(&self) {
        let under_way = self.under_way.load(Ordering::Relaxed);
        let behind = self.pending.load(Ordering::Relaxed) + under_way;
        let applied_at_us = self.applied_at_us.load(Ordering::Relaxed);
        let lag_seconds = match (behind, applied_at_us) {
            (0, _) | (_, 0) => 0,
            _ => (now_us() - applied_at_us).max(0).unsigned_abs() / 1_000_000,
        };
        // Gauges are signed; no stream is as long as that.
        self.metrics.lag_messages.with_label_values(&[&self.stream]).set(behind as i64);
        self.metrics.lag_seconds.with_label_values(&[&self.stream]).set(lag_seconds as i64);
        if let Some(failure) = self.failure() {
            self.probe.unhealthy(failure);
        } else if !self.nats.is_connected() {
            self.probe.unhealthy("not connected to nats");
        } else if lag_seconds > self.max_lag_seconds {
            self.probe.unhealthy(format!("{behind} messages and {lag_seconds} s behind"));
        } else {
            self.probe.healthy(format!("{behind} messages behind"));
        }
    }
}
