//! How far balances are, in the bucket `cursors`.

use anyhow::Context as _;
use crypto_intel_nats::Kv;
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};

/// The cursor is written this often at most.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Value of the key `balances.<chain>`, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    /// The stream is read from after this sequence on; absent before the first time.
    sequence: Option<u64>,
    /// When the last whole round on schedule began, microseconds UTC.
    round_at_us: i64,
}

/// The cursor, and what was written of it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The stream is read from after this sequence on.
    pub(super) sequence: Option<u64>,
    round_at_us: i64,
    /// Something was missed: a round is due whatever the time.
    missed: bool,
    written: Stored,
    written_at: Option<Instant>,
}

fn key(chain: &str) -> String {
    format!("balances.{chain}")
}

impl Progress {
    /// What is in the bucket. An unreadable value counts as none: the schedule makes good what was missed.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub(super) async fn read(bucket: &Kv, chain: &str) -> anyhow::Result<Self> {
        let entry = bucket.get(&key(chain)).await.context("read the cursor of balances")?;
        let stored = entry.and_then(|entry| serde_json::from_slice::<Stored>(&entry.value).ok());
        let written = stored.unwrap_or_default();
        Ok(Self {
            sequence: written.sequence,
            round_at_us: written.round_at_us,
            missed: false,
            written,
            written_at: None,
        })
    }

    /// Writes what changed, a new round at once.
    ///
    /// # Errors
    /// When it is not acknowledged.
    pub(super) async fn write(&mut self, bucket: &Kv, chain: &str) -> anyhow::Result<()> {
        let wanted = Stored { sequence: self.sequence, round_at_us: self.round_at_us };
        let is_urgent = wanted.round_at_us != self.written.round_at_us;
        let is_early = self.written_at.is_some_and(|at| at.elapsed() < WRITE_INTERVAL);
        if wanted == self.written || (is_early && !is_urgent) {
            return Ok(());
        }
        let value = serde_json::to_vec(&wanted).context("encode the cursor of balances")?;
        bucket.put(&key(chain), value).await.context("write the cursor of balances")?;
        self.written = wanted;
        self.written_at = Some(Instant::now());
        Ok(())
    }

    /// Whether a round is due that comes every so many microseconds.
    pub(super) fn is_due(&self, now_us: i64, every_us: i64) -> bool {
        self.missed || now_us.saturating_sub(self.round_at_us) >= every_us
    }

    /// Something was missed: the next round comes as soon as possible, after the one that is under way.
    pub(super) fn note_missed(&mut self) {
        self.missed = true;
    }

    /// A round begins.
    pub(super) fn round_begins(&mut self) {
        self.missed = false;
    }

    /// A round has ended.
    pub(super) fn round_ended(&mut self, began_at_us: i64) {
        self.round_at_us = began_at_us;
    }
}
