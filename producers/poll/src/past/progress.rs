use crypto_intel_nats::{Bucket, Kv, KvError, Nats, PublishError};
use crypto_intel_service::{Backoff, retry};
use serde::{Deserialize, Serialize};

use super::span::{Span, Spans};

/// Most ranges without points that are remembered.
const MAX_EMPTY: usize = 100;

/// How far the past of one series is there: a value of the bucket `cursors`, as JSON. It moves only after the stream
/// acknowledged, by compare-and-set, so that neither a crash nor another instance loses or forgets a range.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PastProgress {
    /// What was asked for, answered and published.
    pub(crate) covered: Spans,
    /// What of it the provider has no points of, the newest hundred ranges.
    pub(crate) empty: Spans,
    /// Events published.
    pub(crate) points: u64,
    /// Why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
}

impl PastProgress {
    /// A range was answered with so many points, which are on disk.
    pub(crate) fn done(&mut self, span: Span, points: u64) {
        self.covered.add(span);
        if points == 0 {
            self.empty.add(span);
            self.empty.keep_newest(MAX_EMPTY);
        }
        self.points += points;
        self.trouble = None;
    }
}

/// The key of a series.
pub(crate) fn progress_key(label: &str) -> String {
    format!("poll.history.{label}")
}

/// Where the progress of one series is kept.
#[derive(Debug)]
pub(crate) struct PastStore {
    nats: Nats,
    key: String,
    revision: Option<u64>,
}

impl PastStore {
    /// `label` is `<provider>.<series>`.
    pub(crate) fn new(nats: Nats, label: &str) -> Self {
        Self { nats, key: progress_key(label), revision: None }
    }

    /// What was kept, as soon as it can be read: without it everything would be asked for again.
    pub(crate) async fn load(&mut self) -> PastProgress {
        let mut delays = Backoff::default().delays();
        loop {
            let read = || async { self.open().await?.get(&self.key).await };
            match retry("read progress of the past", read).await {
                Ok(entry) => {
                    self.revision = entry.as_ref().map(|entry| entry.revision);
                    return entry.map(|entry| self.decode(&entry.value)).unwrap_or_default();
                }
                Err(error) => {
                    tracing::warn!(key = self.key, error = %format!("{error:#}"), "cannot read progress of the past, which waits");
                    tokio::time::sleep(delays.next().unwrap_or_default()).await;
                }
            }
        }
    }

    fn decode(&self, value: &[u8]) -> PastProgress {
        serde_json::from_slice(value).unwrap_or_else(|error| {
            tracing::warn!(key = self.key, %error, "progress of the past is unreadable, all of it is asked for again");
            PastProgress::default()
        })
    }

    /// Changes what is kept, until it is written. When another instance wrote first, its value is changed.
    pub(crate) async fn change(
        &mut self,
        progress: &mut PastProgress,
        change: impl Fn(&mut PastProgress),
    ) {
        let mut delays = Backoff::default().delays();
        loop {
            let mut changed = progress.clone();
            change(&mut changed);
            match self.write(&changed).await {
                Ok(revision) => {
                    self.revision = Some(revision);
                    *progress = changed;
                    return;
                }
                Err(
                    KvError::WrongRevision { .. }
                    | KvError::AlreadyExists { .. }
                    | KvError::Write(PublishError::UnknownOutcome { .. }),
                ) => *progress = self.load().await,
                Err(error) => {
                    tracing::warn!(key = self.key, error = %format!("{error:#}"), "cannot write progress of the past, which waits");
                    tokio::time::sleep(delays.next().unwrap_or_default()).await;
                }
            }
        }
    }

    async fn write(&self, progress: &PastProgress) -> Result<u64, KvError> {
        let value = serde_json::to_vec(progress).unwrap_or_default();
        let bucket = self.open().await?;
        match self.revision {
            Some(revision) => bucket.update(&self.key, value, revision).await,
            None => bucket.create(&self.key, value).await,
        }
    }

    async fn open(&self) -> Result<Kv, KvError> {
        Ok(self.nats.kv(Bucket::Cursors).await?)
    }
}
