//! When history waits: for live, and for who stores it.

use std::{sync::atomic::Ordering, time::Duration};

use crypto_intel_nats::Bucket;
use crypto_intel_service::now_us;
use tokio::time::Instant;

use crate::chain::Worker;

/// Live is behind when more blocks than this are between its top and its head.
const LIVE_LAG: u64 = 1;
/// Longest wait for live before one more batch: a chain that is always behind must not stop history.
const LONGEST_YIELD: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const ASK_AGAIN: Duration = Duration::from_millis(250);
const TELL_EVERY_US: i64 = 60_000_000;
/// The stream that takes `history.>`.
const STREAM: &str = "HISTORY";
/// Where persist says how far it stored that stream; see its README.
const PERSISTED: &str = "persist.HISTORY";

/// What is needed of persist's word.
#[derive(serde::Deserialize)]
struct Persisted {
    sequence: u64,
}

impl Worker {
    /// Returns when one more batch of history may be sent.
    pub(crate) async fn pace(&self) {
        self.yield_to_live().await;
        self.wait_for_persist().await;
    }

    async fn yield_to_live(&self) {
        let deadline = Instant::now() + LONGEST_YIELD;
        while self.live_lag() > LIVE_LAG && Instant::now() < deadline {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Blocks between live's top and its head; the whole chain while nothing is published.
    fn live_lag(&self) -> u64 {
        let head = self.fetcher.pool().head().map_or(0, |head| head.number);
        head.saturating_sub(self.status.published_number().unwrap_or(0))
    }

    async fn wait_for_persist(&self) {
        let limit = self.config.history_max_pending;
        if limit == 0 {
            return;
        }
        while let Some(pending) = self.pending_history().await.filter(|pending| *pending > limit) {
            self.metrics.history_paused(true);
            // Of all batches together: each of them comes by here.
            let told_us = self.told_behind_us.load(Ordering::Relaxed);
            if now_us() - told_us >= TELL_EVERY_US {
                self.told_behind_us.store(now_us(), Ordering::Relaxed);
                tracing::warn!(
                    chain = self.chain,
                    pending,
                    limit,
                    "persist is behind on stream HISTORY, history waits for it; if persist is gone for good, set history_max_pending = 0"
                );
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        self.metrics.history_paused(false);
    }

    /// Messages of HISTORY that persist has not stored; `None` where there is no persist. What cannot
    /// be asked now shows in publishing: it is no reason to wait.
    async fn pending_history(&self) -> Option<u64> {
        let bucket = self.nats.kv(Bucket::Cursors).await.ok()?;
        let entry = bucket.get(PERSISTED).await.ok()??;
        let persisted: Persisted = serde_json::from_slice(&entry.value).ok()?;
        let last = self.nats.stream_state(STREAM).await.ok()?.last_sequence;
        Some(last.saturating_sub(persisted.sequence))
    }
}
