//! Values that are larger than a message: in parts, behind one key that says which parts are the value.
//!
//! A key holds JSON: what its writer says about the value, how many parts there are, and under which generation. The parts are
//! under `<key>.<generation>.<number>`. They are written first and the key last, by compare-and-set, so that a reader sees the
//! old value or the new one, and of two writers one fails.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Kv, KvChange};
use crate::error::KvError;

/// Bytes of a part: with its headers well below the smallest message limit that servers are run with (1 MB).
const PART_BYTES: usize = 512 << 10;
/// A value that is replaced while it is read is read again, so often.
const READS: u32 = 5;
const READ_AGAIN: Duration = Duration::from_millis(100);

/// What a key says of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LargeHead {
    /// The key.
    pub key: String,
    /// What its writer said about it.
    pub about: Value,
    /// How large it is.
    pub bytes: u64,
    /// Revision of the key, for [`Kv::put_large`].
    pub revision: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeadValue {
    about: Value,
    parts: u32,
    bytes: u64,
    generation: String,
}

impl Kv {
    /// What the large values of this bucket say of themselves, sorted by key; a key that holds something else is left out.
    ///
    /// # Errors
    /// Fails when the bucket cannot be read.
    pub async fn large_values(&self) -> Result<Vec<LargeHead>, KvError> {
        // Keys of parts have more parts of their own.
        let mut watch = self.watch("*").await?;
        let mut heads: Vec<LargeHead> = watch.load().await.iter().filter_map(read_head).collect();
        heads.sort_by(|one, two| (&one.key, two.revision).cmp(&(&two.key, one.revision)));
        heads.dedup_by(|later, first| later.key == first.key);
        Ok(heads)
    }

    /// A large value with what is said about it; `None` where there is none.
    ///
    /// # Errors
    /// Fails when it cannot be read, or is not whole.
    pub async fn get_large(&self, key: &str) -> Result<Option<(LargeHead, Bytes)>, KvError> {
        let mut tries = 0;
        loop {
            let Some((head, value)) = self.head(key).await? else { return Ok(None) };
            let missing = match self.parts(key, &value).await? {
                Ok(bytes) => return Ok(Some((head, bytes))),
                Err(reason) => reason,
            };
            tries += 1;
            if tries == READS {
                return Err(KvError::Damaged { key: key.to_owned(), reason: missing });
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
    }

    /// Sets a large value, if the key still has the expected revision (0 = it has no value); returns the new revision.
    ///
    /// # Errors
    /// [`KvError::WrongRevision`], or a write is not acknowledged: then the old value is still there.
    pub async fn put_large(
        &self,
        key: &str,
        about: Value,
        bytes: &Bytes,
        expected_revision: u64,
    ) -> Result<u64, KvError> {
        let generation = format!("{:x}", crypto_intel_service::now_us());
        let starts = (0..bytes.len()).step_by(PART_BYTES);
        let part = |(number, start): (usize, usize)| {
            let end = bytes.len().min(start + PART_BYTES);
            (format!("{key}.{generation}.{number}"), Some(bytes.slice(start..end)))
        };
        let written = self.write_many(starts.enumerate().map(part)).await;
        let head = written.map(|parts| {
            let parts = u32::try_from(parts).unwrap_or(u32::MAX);
            let bytes = bytes.len() as u64;
            let head = HeadValue { about, parts, bytes, generation: generation.clone() };
            serde_json::to_vec(&head).unwrap_or_default()
        });
        let set = match head {
            Ok(head) if expected_revision == 0 => self.create(key, head).await,
            Ok(head) => self.update(key, head, expected_revision).await,
            Err(error) => Err(error),
        };
        // Parts of the value before, or those that this one wrote in vain.
        let kept = set.is_ok().then_some(generation.as_str());
        let forgotten = match (&set, kept) {
            (Ok(_), Some(generation)) => self.forget_parts(key, |other| other != generation).await,
            _ => self.forget_parts(key, |other| other == generation).await,
        };
        if let Err(error) = forgotten {
            tracing::warn!(key, error = %error, "old parts of a value are left in the bucket; the next change removes them");
        }
        set
    }

    /// Deletes a large value. `false` where there is none.
    ///
    /// # Errors
    /// Fails when the bucket cannot be read or written.
    pub async fn delete_large(&self, key: &str) -> Result<bool, KvError> {
        if self.get(key).await?.is_none() {
            return Ok(false);
        }
        self.delete(key).await?;
        self.forget_parts(key, |_| true).await?;
        Ok(true)
    }

    async fn head(&self, key: &str) -> Result<Option<(LargeHead, HeadValue)>, KvError> {
        let Some(entry) = self.get(key).await? else { return Ok(None) };
        let damaged = |error: serde_json::Error| KvError::Damaged {
            key: key.to_owned(),
            reason: format!("it does not say its parts: {error}"),
        };
        let value: HeadValue = serde_json::from_slice(&entry.value).map_err(damaged)?;
        Ok(Some((head_of(key, entry.revision, &value), value)))
    }

    /// The whole value, or what is missing of it.
    async fn parts(&self, key: &str, head: &HeadValue) -> Result<Result<Bytes, String>, KvError> {
        let mut bytes = BytesMut::new();
        for number in 0..head.parts {
            let part = self.get(&format!("{key}.{}.{number}", head.generation)).await?;
            let Some(part) = part else {
                return Ok(Err(format!("part {number} of {} is not there", head.parts)));
            };
            bytes.extend_from_slice(&part.value);
        }
        if bytes.len() as u64 != head.bytes {
            return Ok(Err(format!("it has {} of {} bytes", bytes.len(), head.bytes)));
        }
        Ok(Ok(bytes.freeze()))
    }

    async fn forget_parts(&self, key: &str, is_old: impl Fn(&str) -> bool) -> Result<(), KvError> {
        let prefix = self.prefix();
        let stream = self.bucket().stream();
        let subjects = self.nats().subjects_of(&stream, &format!("{prefix}{key}.*.*")).await?;
        let keys = subjects.iter().filter_map(|subject| subject.strip_prefix(&prefix));
        let old = keys.filter(|part| part.split('.').nth(1).is_some_and(&is_old));
        let old: Vec<_> = old.map(|part| (part.to_owned(), None)).collect();
        self.write_many(old).await.map(drop)
    }
}

fn head_of(key: &str, revision: u64, value: &HeadValue) -> LargeHead {
    LargeHead { key: key.to_owned(), about: value.about.clone(), bytes: value.bytes, revision }
}

fn read_head(change: &KvChange) -> Option<LargeHead> {
    let value: HeadValue = serde_json::from_slice(change.value.as_ref()?).ok()?;
    Some(head_of(&change.key, change.revision, &value))
}
