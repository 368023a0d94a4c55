use async_nats::{HeaderMap, header};
use bytes::Bytes;

use super::key::is_valid;
use super::{Bucket, KvWatch};
use crate::client::api::Nats;
use crate::error::{KvError, NatsError, PublishError};
use crate::message::{Fence, OutMessage, StreamMessage};

const OPERATION_HEADER: &str = "KV-Operation";
/// Writes that wait for their acknowledgement at the same time.
const WRITES_AT_ONCE: usize = 500;

/// A key-value bucket. Every write is acknowledged, that is on disk.
#[derive(Debug, Clone)]
pub struct Kv {
    nats: Nats,
    bucket: Bucket,
    stream: String,
}

/// A key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Revision for [`Kv::update`].
    pub revision: u64,
    /// When it was written: microseconds since the Unix epoch.
    pub stored_at_us: i64,
}

impl Kv {
    pub(crate) async fn open(nats: &Nats, bucket: Bucket) -> Result<Self, NatsError> {
        let kv = Self { nats: nats.clone(), bucket, stream: bucket.stream() };
        // The answer is of no interest: it says that the bucket is there.
        kv.nats.stream_info::<serde_json::Value>(&kv.stream).await?;
        Ok(kv)
    }

    /// Which bucket this is.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        self.bucket
    }

    pub(crate) fn nats(&self) -> &Nats {
        &self.nats
    }

    pub(super) fn prefix(&self) -> String {
        format!("$KV.{}.", self.bucket.name())
    }

    /// A key's value, `None` if it has none.
    ///
    /// # Errors
    /// Fails when the key is invalid or the server does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, KvError> {
        let message = self.nats.last_on_subject(&self.stream, &self.subject(key)?).await?;
        Ok(entry_of(message))
    }

    /// As [`get`](Self::get), from the leader of the bucket's stream: for where an absence decides something. Its user needs
    /// `$JS.API.STREAM.MSG.GET`, which those of roles have for no bucket.
    ///
    /// # Errors
    /// Fails when the key is invalid or there is no leader that answers.
    pub async fn get_from_leader(&self, key: &str) -> Result<Option<Entry>, KvError> {
        let message = self.nats.last_from_leader(&self.stream, &self.subject(key)?).await?;
        Ok(entry_of(message))
    }

    /// Sets a value whatever was there; returns its revision.
    ///
    /// # Errors
    /// Fails when the key is invalid or the write is not acknowledged.
    pub async fn put(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, KvError> {
        let message = OutMessage::new(self.subject(key)?, value);
        let ack =
            self.nats.publish_one(message, None).await.map_err(|error| self.not_written(error))?;
        Ok(ack.sequence)
    }

    /// Sets a value where there is none; returns its revision.
    ///
    /// # Errors
    /// [`KvError::AlreadyExists`], or the write is not acknowledged.
    pub async fn create(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, KvError> {
        let value = value.into();
        let mut expected = 0;
        // The second time is for a key that was deleted or expired: its marker has a revision.
        for _ in 0..3 {
            match self.update(key, value.clone(), expected).await {
                Err(KvError::WrongRevision { .. }) => {}
                other => return other,
            }
            let last = self.nats.last_on_subject(&self.stream, &self.subject(key)?).await?;
            match last {
                Some(message) if is_deletion(&message) => expected = message.sequence,
                Some(_) => return Err(KvError::AlreadyExists { key: key.to_owned() }),
                None => expected = 0,
            }
        }
        Err(KvError::AlreadyExists { key: key.to_owned() })
    }

    /// Sets a value if the key still has the expected revision; returns the new revision.
    ///
    /// # Errors
    /// [`KvError::WrongRevision`], or the write is not acknowledged.
    pub async fn update(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        expected_revision: u64,
    ) -> Result<u64, KvError> {
        let message = OutMessage::new(self.subject(key)?, value);
        self.write(key, message, expected_revision).await
    }

    /// Sets several values together or none of them, if the first key still has the expected revision (`None` = it has
    /// no value); returns the new revision of the first. Only for buckets that take batches.
    ///
    /// # Errors
    /// [`KvError::WrongRevision`], or a key is invalid or the writes are not acknowledged.
    pub async fn put_together(
        &self,
        values: &[(String, Bytes)],
        expected_revision: Option<u64>,
    ) -> Result<u64, KvError> {
        let Some((first, _)) = values.first() else {
            return Err(KvError::Write(PublishError::Empty));
        };
        let subject = self.subject(first)?;
        let mut messages = Vec::with_capacity(values.len());
        for (key, value) in values {
            messages.push(OutMessage::new(self.subject(key)?, value.clone()));
        }
        let last_sequence = match expected_revision {
            Some(revision) => revision,
            // The marker of a deletion has a revision, too.
            None => match self.nats.last_on_subject(&self.stream, &subject).await? {
                Some(message) if is_deletion(&message) => message.sequence,
                Some(_) => return Err(KvError::AlreadyExists { key: first.clone() }),
                None => 0,
            },
        };
        let fence = Fence { filter: subject, last_sequence };
        match self.nats.publish_together(&messages, Some(&fence)).await {
            Ok(ack) => Ok(ack.last_sequence + 1 - ack.messages),
            Err(PublishError::WrongLastSequence { actual }) => {
                Err(KvError::WrongRevision { key: first.clone(), actual })
            }
            Err(error) => Err(self.not_written(error)),
        }
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// Fails when the key is invalid or the write is not acknowledged.
    pub async fn delete(&self, key: &str) -> Result<(), KvError> {
        let message = deletion(self.subject(key)?);
        self.nats.publish_one(message, None).await.map_err(|error| self.not_written(error))?;
        Ok(())
    }

    /// Sets many values, or deletes the keys that have none, without awaiting each acknowledgement; returns how many
    /// writes that were.
    ///
    /// # Errors
    /// Fails when a key is invalid or a write is not acknowledged; those before it are stored.
    pub async fn write_many(
        &self,
        changes: impl IntoIterator<Item = (String, Option<Bytes>)>,
    ) -> Result<u64, KvError> {
        let mut window = self.nats.window(WRITES_AT_ONCE);
        for (key, value) in changes {
            let subject = self.subject(&key)?;
            let message = match value {
                Some(value) => OutMessage::new(subject, value),
                None => deletion(subject),
            };
            window.push(message).await.map_err(|error| self.not_written(error))?;
        }
        window.flush().await.map_err(|error| self.not_written(error))
    }

    /// Deletes a key if it still has the expected revision.
    ///
    /// # Errors
    /// [`KvError::WrongRevision`], or the write is not acknowledged.
    pub async fn delete_revision(&self, key: &str, expected_revision: u64) -> Result<(), KvError> {
        let message = deletion(self.subject(key)?);
        self.write(key, message, expected_revision).await.map(|_| ())
    }

    /// All keys that begin with `prefix` (empty = all), sorted.
    ///
    /// # Errors
    /// Fails when the bucket cannot be read.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, KvError> {
        Ok(self.entries(prefix).await?.into_iter().map(|(key, _)| key).collect())
    }

    /// All keys that begin with `prefix` (empty = all), sorted, with their values.
    ///
    /// # Errors
    /// Fails when the bucket cannot be read.
    pub async fn entries(&self, prefix: &str) -> Result<Vec<(String, Entry)>, KvError> {
        // Whole parts of the key are the server's to filter: a bucket may hold very many others.
        let parts = prefix.rfind('.').map_or("", |last| &prefix[..=last]);
        let mut watch = self.watch(&format!("{parts}>")).await?;
        let changes = watch.load().await;
        let mut entries = std::collections::BTreeMap::new();
        for change in changes {
            if !change.key.starts_with(prefix) {
                continue;
            }
            match change.value {
                Some(value) => {
                    let entry = Entry {
                        value,
                        revision: change.revision,
                        stored_at_us: change.stored_at_us,
                    };
                    entries.insert(change.key, entry);
                }
                None => {
                    entries.remove(&change.key);
                }
            }
        }
        Ok(entries.into_iter().collect())
    }

    /// First every present value, then every change, without an end.
    ///
    /// # Errors
    /// Fails when the bucket cannot be read.
    pub async fn watch_all(&self) -> Result<KvWatch, KvError> {
        KvWatch::open(self, ">").await
    }

    /// As [`watch_all`](Self::watch_all), for keys that match a subject filter, e.g. `anvil.*`.
    ///
    /// # Errors
    /// Fails when the bucket cannot be read.
    pub async fn watch(&self, filter: &str) -> Result<KvWatch, KvError> {
        KvWatch::open(self, filter).await
    }

    async fn write(
        &self,
        key: &str,
        message: OutMessage,
        expected_revision: u64,
    ) -> Result<u64, KvError> {
        let fence = Fence { filter: message.subject.clone(), last_sequence: expected_revision };
        match self.nats.publish_one(message, Some(fence)).await {
            Ok(ack) => Ok(ack.sequence),
            Err(PublishError::WrongLastSequence { actual }) => {
                Err(KvError::WrongRevision { key: key.to_owned(), actual })
            }
            Err(error) => Err(self.not_written(error)),
        }
    }

    fn not_written(&self, error: PublishError) -> KvError {
        match error {
            PublishError::Full { text, .. } => KvError::Full { bucket: self.bucket.name(), text },
            other => KvError::Write(other),
        }
    }

    fn subject(&self, key: &str) -> Result<String, KvError> {
        if is_valid(key) {
            Ok(format!("{}{key}", self.prefix()))
        } else {
            Err(KvError::InvalidKey { key: key.to_owned() })
        }
    }
}

fn entry_of(message: Option<StreamMessage>) -> Option<Entry> {
    message.filter(|message| !is_deletion(message)).map(|message| Entry {
        value: message.payload,
        revision: message.sequence,
        stored_at_us: message.stored_at_us,
    })
}

fn deletion(subject: String) -> OutMessage {
    OutMessage::new(subject, Bytes::new()).header(OPERATION_HEADER, "DEL")
}

/// A deletion, or the marker that the server leaves when a value expires.
pub(super) fn is_deletion(message: &StreamMessage) -> bool {
    let Some(headers) = &message.headers else { return false };
    let has = |headers: &HeaderMap| {
        headers
            .get(OPERATION_HEADER)
            .is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
    };
    has(headers) || headers.get(header::NATS_MARKER_REASON).is_some()
}
