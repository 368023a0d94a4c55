use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_service::retry;
use serde::{Deserialize, Serialize};

use super::compliance::Compliance;

/// How far an endpoint is polled. Advances only after the stream acknowledged; kept in KV so that a
/// restart or another instance does not poll and publish a slot again, however long it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Beginning of the last completed slot, microseconds.
    pub(crate) slot_us: Option<i64>,
    /// Ids of its events: unchanged ones are not published again.
    pub(crate) ids: Vec<String>,
    /// How it keeps to its schedule.
    #[serde(default)]
    pub(crate) slots: Compliance,
}

/// Where the progress of one endpoint is kept.
#[derive(Debug)]
pub(crate) struct ProgressStore {
    nats: Nats,
    key: String,
}

impl ProgressStore {
    /// `label` is `<provider>.<endpoint>`.
    pub(crate) fn new(nats: Nats, label: &str) -> Self {
        Self { nats, key: format!("poll.{label}") }
    }

    /// Progress of the previous instance; empty when there is none or it cannot be read, which costs
    /// at most one repeated poll.
    pub(crate) async fn load(&self) -> Progress {
        let read = || async {
            let kv = self.open().await?;
            kv.get(&self.key).await
        };
        let entry = match retry("read progress of poller", read).await {
            Ok(None) => return Progress::default(),
            Ok(Some(entry)) => entry,
            Err(error) => {
                tracing::warn!(key = self.key, error = %format!("{error:#}"), "cannot read progress, polling from now");
                return Progress::default();
            }
        };
        serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
            tracing::warn!(key = self.key, %error, "progress is unreadable, polling from now");
            Progress::default()
        })
    }

    /// The progress now, of any instance; `None` when there is none or it cannot be read.
    pub(crate) async fn peek(&self) -> Option<Progress> {
        let entry = self.open().await.ok()?.get(&self.key).await.ok()??;
        serde_json::from_slice(&entry.value).ok()
    }

    /// Saves it. A failure costs at most one repeated poll after a restart.
    pub(crate) async fn save(&self, progress: &Progress) {
        let write = async {
            let value = serde_json::to_vec(progress).unwrap_or_default();
            self.open().await?.put(&self.key, value).await
        };
        if let Err(error) = write.await {
            tracing::warn!(key = self.key, error = %format!("{error:#}"), "cannot save progress");
        }
    }

    async fn open(&self) -> Result<Kv, KvError> {
        Ok(self.nats.kv(Bucket::Cursors).await?)
    }
}
