use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crypto_intel_nats::{Nats, ReaderTrouble, StreamMessage};
use crypto_intel_service::{Probe, now_us};
use crypto_intel_store::StreamPosition;

use crate::{metrics::Metrics, waiting::Waiting};

/// How one stream progresses: its stages write it, its probe and gauges show it.
#[derive(Debug)]
pub(crate) struct Status {
    stream: String,
    nats: Nats,
    probe: Arc<Probe>,
    metrics: Metrics,
    max_lag_seconds: u64,
    waiting: Mutex<Waiting>,
    /// What keeps the reader of this session from reading.
    trouble: Mutex<ReaderTrouble>,
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
            waiting: Mutex::default(),
            trouble: Mutex::default(),
            applied_sequence: AtomicU64::new(0),
            failure: Mutex::new(None),
        }
    }

    /// A new session begins after this message. What ended the last one is past: a stream without traffic would tell of it
    /// until its next message.
    pub(crate) fn begin(&self, sequence: u64, trouble: ReaderTrouble) {
        *lock(&self.waiting) = Waiting::default();
        *lock(&self.trouble) = trouble;
        *lock(&self.failure) = None;
        self.applied_sequence.store(sequence, Ordering::Relaxed);
    }

    pub(crate) fn applied_sequence(&self) -> u64 {
        self.applied_sequence.load(Ordering::Relaxed)
    }

    /// What is in the way at present.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.failure).clone()
    }

    pub(crate) fn failed(&self, reason: String) {
        self.probe.unhealthy(reason.clone());
        *lock(&self.failure) = Some(reason);
    }

    pub(crate) fn received(&self, messages: &[StreamMessage], pending: u64) {
        lock(&self.waiting).add(messages.iter().map(|message| message.stored_at_us), pending);
        let received = self.metrics.received.with_label_values(&[&self.stream]);
        received.inc_by(messages.len() as u64);
    }

    pub(crate) fn applied(&self, messages: u64, end: StreamPosition) {
        lock(&self.waiting).remove(messages);
        self.applied_sequence.store(end.sequence, Ordering::Relaxed);
        *lock(&self.failure) = None;
    }

    /// Shows where the stream is: gauges and probe.
    pub(crate) fn report(&self) {
        let (behind, since_us) = {
            let waiting = lock(&self.waiting);
            (waiting.count(), waiting.since_us())
        };
        let lag_seconds =
            since_us.map_or(0, |since_us| (now_us() - since_us).max(0).unsigned_abs() / 1_000_000);
        // Gauges are signed; no stream is as long as that.
        self.metrics.lag_messages.with_label_values(&[&self.stream]).set(behind as i64);
        self.metrics.lag_seconds.with_label_values(&[&self.stream]).set(lag_seconds as i64);
        if let Some(failure) = self.failure() {
            self.probe.unhealthy(failure);
        } else if !self.nats.is_connected() {
            self.probe.unhealthy("not connected to nats");
        } else if let Some(trouble) = lock(&self.trouble).get() {
            self.probe.unhealthy(trouble);
        } else if lag_seconds > self.max_lag_seconds {
            self.probe.unhealthy(format!("{behind} messages and {lag_seconds} s behind"));
        } else {
            self.probe.healthy(format!("{behind} messages behind"));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
