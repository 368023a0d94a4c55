use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use futures::{FutureExt as _, Stream};

use super::Kv;
use super::store::is_deletion;
use crate::error::{KvError, ReaderError};
use crate::reader::{Notice, ReadBatch, ReaderOptions, Start, StreamReader};

const CHANGES_AT_ONCE: usize = 1_000;

/// What a key became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvChange {
    /// The key.
    pub key: String,
    /// Its value; `None` when it was deleted or expired.
    pub value: Option<Bytes>,
    /// Its revision; 0 for a key that vanished with its bucket.
    pub revision: u64,
    /// When it was written: microseconds since the Unix epoch.
    pub stored_at_us: i64,
}

/// A bucket's values and changes. Survives reconnects, and the loss of the bucket: then it tells the deletion of
/// every key that the new one does not have.
///
/// It is a view, not a log: of quick changes to one key only the last is sure to be seen.
#[derive(Debug)]
pub struct KvWatch {
    reader: StreamReader,
    prefix: String,
    live: HashSet<String>,
    /// Keys of the bucket before it was recreated that were not seen since.
    unconfirmed: Option<HashSet<String>>,
    queue: VecDeque<KvChange>,
}

impl KvWatch {
    pub(super) async fn open(kv: &Kv, filter: &str) -> Result<Self, KvError> {
        let prefix = kv.prefix();
        let name = format!("kv-{}", kv.nats().name());
        let options = ReaderOptions::new(kv.bucket().stream(), name, Start::First)
            .filters([format!("{prefix}{filter}")]);
        let reader = StreamReader::open(kv.nats(), options).await.map_err(|error| match error {
            ReaderError::Open { source, .. } => KvError::Read(source),
            ReaderError::Closed => KvError::Read(crate::NatsError::Closed),
        })?;
        Ok(Self { reader, prefix, live: HashSet::new(), unconfirmed: None, queue: VecDeque::new() })
    }

    /// The next change; `None` only when the client was closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<KvChange> {
        loop {
            if let Some(change) = self.queue.pop_front() {
                return Some(change);
            }
            self.receive().await?;
        }
    }

    /// The next changes, as many as have come, at most `max` and at least one; none only when the client was closed.
    /// Cancel-safe.
    pub async fn next_ready(&mut self, max: usize) -> Vec<KvChange> {
        while self.queue.is_empty() {
            if self.receive().await.is_none() {
                return Vec::new();
            }
        }
        while self.queue.len() < max && self.receive().now_or_never().flatten().is_some() {}
        self.queue.drain(..max.min(self.queue.len())).collect()
    }

    /// How many keys have a value, as far as changes were received.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// How many changes were not handed out yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.reader.pending() + self.queue.len() as u64
    }

    /// What the bucket holds now: all changes up to its present end. To be called first, to fill a cache.
    pub async fn load(&mut self) -> Vec<KvChange> {
        let mut all = Vec::new();
        self.load_each(|change| all.push(change)).await;
        all
    }

    /// As [`load`](Self::load), one after the other: of a million values no more are held than came at once.
    pub async fn load_each(&mut self, mut take: impl FnMut(KvChange)) {
        while let Ok(Some(batch)) = self.reader.next_until_end(CHANGES_AT_ONCE).await {
            self.take(batch);
            self.queue.drain(..).for_each(&mut take);
        }
        self.queue.drain(..).for_each(take);
    }

    /// The changes as a stream.
    pub fn into_stream(self) -> impl Stream<Item = KvChange> + Send {
        futures::stream::unfold(self, |mut watch| async move {
            let change = watch.next().await?;
            Some((change, watch))
        })
    }

    async fn receive(&mut self) -> Option<()> {
        let batch = self.reader.next(CHANGES_AT_ONCE).await.ok()?;
        self.take(batch);
        Some(())
    }

    fn take(&mut self, batch: ReadBatch) {
        for notice in batch.notices {
            // A lost range is ordinary here: newer values replaced older ones.
            if matches!(notice, Notice::StreamReset { .. }) {
                let mut before = std::mem::take(&mut self.live);
                before.extend(self.unconfirmed.take().unwrap_or_default());
                self.unconfirmed = Some(before);
            }
        }
        for message in batch.messages {
            let deleted = is_deletion(&message);
            let key = message.subject.strip_prefix(&self.prefix).unwrap_or(&message.subject);
            let key = key.to_owned();
            if let Some(unconfirmed) = &mut self.unconfirmed {
                unconfirmed.remove(&key);
            }
            if deleted {
                self.live.remove(&key);
            } else {
                self.live.insert(key.clone());
            }
            self.queue.push_back(KvChange {
                key,
                value: (!deleted).then_some(message.payload),
                revision: message.sequence,
                stored_at_us: message.stored_at_us,
            });
        }
        if self.reader.pending() == 0
            && let Some(vanished) = self.unconfirmed.take()
        {
            self.queue.extend(vanished.into_iter().map(|key| KvChange {
                key,
                value: None,
                revision: 0,
                stored_at_us: 0,
            }));
        }
    }
}
