use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crypto_intel_nats::{Nats, ReaderTrouble, StreamMessage};
use crypto_intel_service::{LastError, Probe, now_us};
use crypto_intel_store::StreamPosition;
use parking_lot::Mutex;

use crate::{backlog::Backlog, metrics::Metrics};

/// How one stream progresses: its stages write it, its probe and gauges report it.
#[derive(Debug)]
pub(crate) struct Status {
    stream: String,
    nats: Nats,
    probe: Arc<Probe>,
    metrics: Metrics,
    max_lag_seconds: u64,
    backlog: Mutex<Backlog>,
    /// What keeps this term's reader from reading.
    trouble: Mutex<ReaderTrouble>,
    /// Sequence of the last message applied.
    applied_sequence: AtomicU64,
    /// What keeps rows from being stored.
    last_error: LastError,
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
            backlog: Mutex::default(),
            trouble: Mutex::default(),
            applied_sequence: AtomicU64::new(0),
            last_error: LastError::default(),
        }
    }

    /// A new term begins after this message. Errors of the last one are cleared: a stream without traffic would report them
    /// until its next message.
    pub(crate) fn begin(&self, sequence: u64, trouble: ReaderTrouble) {
        *self.backlog.lock() = Backlog::default();
        *self.trouble.lock() = trouble;
        self.last_error.clear();
        self.applied_sequence.store(sequence, Ordering::Relaxed);
    }

    pub(crate) fn applied_sequence(&self) -> u64 {
        self.applied_sequence.load(Ordering::Relaxed)
    }

    /// Why the last attempt failed, until one succeeds.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.get()
    }

    pub(crate) fn failed(&self, reason: String) {
        self.probe.unhealthy(reason.clone());
        self.last_error.set(reason);
    }

    pub(crate) fn received(&self, messages: &[StreamMessage], pending: u64) {
        self.backlog.lock().add(messages.iter().map(|message| message.stored_at_us), pending);
        let received = self.metrics.received.with_label_values(&[&self.stream]);
        received.inc_by(messages.len() as u64);
    }

    pub(crate) fn applied(&self, messages: u64, end: StreamPosition) {
        self.backlog.lock().remove(messages);
        self.applied_sequence.store(end.sequence, Ordering::Relaxed);
        self.last_error.clear();
    }

    /// Sets gauges and probe.
    pub(crate) fn report(&self) {
        let (behind, since_us) = {
            let backlog = self.backlog.lock();
            (backlog.count(), backlog.since_us())
        };
        let lag_seconds =
            since_us.map_or(0, |since_us| (now_us() - since_us).max(0).unsigned_abs() / 1_000_000);
        // Gauges are signed; no stream is that long.
        self.metrics.lag_messages.with_label_values(&[&self.stream]).set(behind as i64);
        self.metrics.lag_seconds.with_label_values(&[&self.stream]).set(lag_seconds as i64);
        if let Some(error) = self.last_error() {
            self.probe.unhealthy(error);
        } else if !self.nats.is_connected() {
            self.probe.unhealthy("not connected to nats");
        } else if let Some(trouble) = self.trouble.lock().get() {
            self.probe.unhealthy(trouble);
        } else if lag_seconds > self.max_lag_seconds {
            self.probe.unhealthy(format!("{behind} messages and {lag_seconds} s behind"));
        } else {
            self.probe.healthy(format!("{behind} messages behind"));
        }
    }
}
