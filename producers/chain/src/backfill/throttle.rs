//! When history waits: for live, and for persist, which stores it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{PersistedPosition, Stream};
use crypto_intel_service::now_us;
use tokio::time::Instant;

use crate::{
    metrics::ChainMetrics,
    source::ChainSource,
    status::Status,
    stream::{history_lane::HistoryLane, lane::Lane},
};

/// Live is behind when more blocks than this are between its top and its head.
const LIVE_LAG: u64 = 1;
/// Longest wait for live before one more batch: a chain that is always behind must not stop history.
const MAX_YIELD: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
const ASK_INTERVAL: Duration = Duration::from_millis(250);
const TELL_INTERVAL_US: i64 = 60_000_000;
/// The stream that takes `history.>`.
const STREAM: &str = Stream::History.name();

/// Holds the history lane back.
#[derive(Debug)]
pub(crate) struct Throttle<S> {
    chain: String,
    nats: Nats,
    metrics: ChainMetrics,
    source: Arc<S>,
    status: Status,
    history: HistoryLane,
    /// History waits while persist has more events of it to store; 0 = never.
    max_pending: u64,
    /// When it was last said that history waits for persist.
    told_at_us: AtomicI64,
}

impl<S: ChainSource> Throttle<S> {
    pub(crate) fn new(
        lane: &Lane,
        source: Arc<S>,
        status: Status,
        history: HistoryLane,
        max_pending: u64,
    ) -> Self {
        Self {
            chain: lane.chain.clone(),
            nats: lane.nats.clone(),
            metrics: lane.metrics.clone(),
            source,
            status,
            history,
            max_pending,
            told_at_us: AtomicI64::new(0),
        }
    }

    /// Returns when one more batch of history may be sent.
    pub(crate) async fn wait(&self) {
        self.yield_to_live().await;
        self.wait_for_persist().await;
    }

    async fn yield_to_live(&self) {
        let deadline = Instant::now() + MAX_YIELD;
        while self.live_lag() > LIVE_LAG && Instant::now() < deadline {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Blocks between live's top and its head; the whole chain while nothing is published.
    fn live_lag(&self) -> u64 {
        let head = self.source.head().map_or(0, |head| head.block.number);
        head.saturating_sub(self.status.published_number().unwrap_or(0))
    }

    async fn wait_for_persist(&self) {
        let limit = self.max_pending;
        if limit == 0 {
            return;
        }
        while let Some(pending) = self.pending_history().await.filter(|pending| *pending > limit) {
            self.metrics.history_paused(true);
            // Of all batches together: each of them comes by here.
            let told_us = self.told_at_us.load(Ordering::Relaxed);
            if now_us() - told_us >= TELL_INTERVAL_US {
                self.told_at_us.store(now_us(), Ordering::Relaxed);
                tracing::warn!(
                    chain = self.chain,
                    pending,
                    limit,
                    "persist is behind on stream HISTORY, history waits for it; if persist is gone for good, set history_max_pending = 0"
                );
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
        self.metrics.history_paused(false);
    }

    /// About how many events of HISTORY persist has not stored; `None` where there is no persist. What cannot
    /// be asked now shows in publishing: it is no reason to wait.
    async fn pending_history(&self) -> Option<u64> {
        let bucket = self.nats.kv(Bucket::Cursors).await.ok()?;
        let entry = bucket.get(&PersistedPosition::key(STREAM)).await.ok()??;
        let persisted: PersistedPosition = serde_json::from_slice(&entry.value).ok()?;
        let last = self.nats.stream_state(STREAM).await.ok()?.last_sequence;
        Some(self.history.events_of(last.saturating_sub(persisted.sequence)))
    }
}
