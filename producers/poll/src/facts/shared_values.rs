//! A bucket whose values several sources write, of any instance: each writes only over what it has read.

use std::time::Duration;

use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

/// Attempts to write a value while other sources of it are written too.
const WRITE_ATTEMPTS: u32 = 32;

/// The bucket, opened when it is first used.
#[derive(Debug)]
pub(super) struct SharedValues {
    nats: Nats,
    bucket: Bucket,
    open: Mutex<Option<Kv>>,
}

/// What became of a write.
#[derive(Debug)]
pub(super) enum Written<V> {
    /// The new value is there.
    Stored(V),
    /// There was nothing to change.
    Unchanged,
    /// Others were faster each time.
    Outrun,
}

impl SharedValues {
    pub(super) fn new(nats: Nats, bucket: Bucket) -> Self {
        Self { nats, bucket, open: Mutex::default() }
    }

    /// Replaces a value by what follows from it; `source` is the provider on whose behalf.
    ///
    /// # Errors
    /// When the bucket cannot be read or written; the next use opens it again.
    pub(super) async fn change<V: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        source: &str,
        next: impl Fn(Option<&V>) -> Option<V>,
    ) -> Result<Written<V>, KvError> {
        let changed = self.try_change(key, source, next).await;
        if changed.is_err() {
            *self.open.lock() = None;
        }
        changed
    }

    async fn try_change<V: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        source: &str,
        next: impl Fn(Option<&V>) -> Option<V>,
    ) -> Result<Written<V>, KvError> {
        for attempt in 0..WRITE_ATTEMPTS {
            let (known, revision) = self.read(key).await?;
            let Some(value) = next(known.as_ref()) else { return Ok(Written::Unchanged) };
            let json = serde_json::to_vec(&value).unwrap_or_default();
            let bucket = self.bucket().await?;
            let written = match revision {
                Some(revision) => bucket.update(key, json, revision).await,
                None => bucket.create(key, json).await,
            };
            match written {
                Ok(_) => return Ok(Written::Stored(value)),
                // Another source was faster: what it said counts too.
                Err(KvError::WrongRevision { .. } | KvError::AlreadyExists { .. }) => {
                    tokio::time::sleep(step_aside(source, attempt)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Written::Outrun)
    }

    /// What the bucket holds, with its revision. An unreadable value is replaced.
    pub(super) async fn read<V: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<(Option<V>, Option<u64>), KvError> {
        let Some(entry) = self.bucket().await?.get(key).await? else { return Ok((None, None)) };
        Ok((serde_json::from_slice(&entry.value).ok(), Some(entry.revision)))
    }

    async fn bucket(&self) -> Result<Kv, KvError> {
        let open = self.open.lock().clone();
        if let Some(bucket) = open {
            return Ok(bucket);
        }
        let bucket = self.nats.kv(self.bucket).await?;
        *self.open.lock() = Some(bucket.clone());
        Ok(bucket)
    }
}

/// How long a source waits after others were faster: each its own time, so that they do not meet again.
fn step_aside(source: &str, attempt: u32) -> Duration {
    let place = source.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 17);
    Duration::from_millis(u64::from((place + 1) * attempt.min(8)))
}
