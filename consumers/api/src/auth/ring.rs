//! Entries of a bucket, in memory: looking one up needs no request, and what others change is here within a second.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, Nats};
use crypto_intel_service::{Probe, Stopped, unless_stopped};
use parking_lot::RwLock;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

const OPEN_AGAIN: Duration = Duration::from_secs(2);

/// An entry, and its place in the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Held<T> {
    pub(crate) value: T,
    pub(crate) revision: u64,
}

/// The entries whose keys match a filter, by their keys.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    bucket: Bucket,
    filter: &'static str,
    entries: Arc<RwLock<HashMap<String, Held<T>>>>,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self { bucket: self.bucket, filter: self.filter, entries: Arc::clone(&self.entries) }
    }
}

impl<T: Clone + DeserializeOwned + Send + Sync + 'static> Ring<T> {
    /// Empty until it is followed.
    pub(crate) fn new(bucket: Bucket, filter: &'static str) -> Self {
        Self { bucket, filter, entries: Arc::default() }
    }

    /// The entry of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Held<T>> {
        self.entries.read().get(key).cloned()
    }

    /// What this process writes itself is there at once; nothing newer is overwritten.
    pub(crate) fn hold(&self, key: String, value: T, revision: u64) {
        let mut entries = self.entries.write();
        if entries.get(&key).is_none_or(|held| held.revision <= revision) {
            entries.insert(key, Held { value, revision });
        }
    }

    /// As [`hold`](Self::hold), of what is there no longer.
    pub(crate) fn forget(&self, key: &str) {
        self.entries.write().remove(key);
    }

    /// Follows the bucket until `stop`. While it cannot be opened nothing new counts, and `probe` says so.
    pub(crate) async fn follow(
        self,
        nats: Nats,
        probe: Probe,
        stop: CancellationToken,
    ) -> Result<(), Stopped> {
        loop {
            match unless_stopped(&stop, self.follow_once(&nats, &probe)).await? {
                Ok(()) => probe.unhealthy("the connection to nats was closed"),
                Err(error) => {
                    tracing::warn!(bucket = self.bucket.name(), error = %format!("{error:#}"), "cannot read who may use the API, trying again");
                    probe.unhealthy(format!("{error:#}"));
                }
            }
            unless_stopped(&stop, tokio::time::sleep(OPEN_AGAIN)).await?;
        }
    }

    async fn follow_once(&self, nats: &Nats, probe: &Probe) -> anyhow::Result<()> {
        let name = self.bucket.name();
        let kv = nats.kv(self.bucket).await.with_context(|| format!("open bucket {name}"))?;
        let mut watch =
            kv.watch(self.filter).await.with_context(|| format!("watch bucket {name}"))?;
        let mut held = HashMap::new();
        watch.load().await.into_iter().for_each(|change| self.take(&mut held, change));
        *self.entries.write() = held;
        probe.healthy(format!("{} entries", watch.live()));
        while let Some(change) = watch.next().await {
            self.take(&mut self.entries.write(), change);
            probe.healthy(format!("{} entries", watch.live()));
        }
        Ok(())
    }

    fn take(&self, entries: &mut HashMap<String, Held<T>>, change: KvChange) {
        let Some(value) = change.value.as_deref() else {
            entries.remove(&change.key);
            return;
        };
        match serde_json::from_slice(value) {
            Ok(value) => {
                entries.insert(change.key, Held { value, revision: change.revision });
            }
            Err(error) => {
                let (bucket, key) = (self.bucket.name(), &change.key);
                tracing::warn!(bucket, key, %error, "an entry is unreadable, ignored");
                entries.remove(&change.key);
            }
        }
    }
}
