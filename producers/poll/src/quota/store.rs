use std::time::Duration;

use crypto_intel_nats::{Bucket, Kv, KvError, Nats, PublishError};
use crypto_intel_service::retry;

use super::usage::Usage;

/// Pause after a failure that retrying alone does not cure.
const PAUSE: Duration = Duration::from_secs(10);

/// Where the usage of keys is kept, so that neither a restart nor another instance begins a day or month again.
#[derive(Debug, Clone)]
pub(crate) enum UsageStore {
    /// The bucket of cursors.
    Kv(Nats),
    /// A map, which tests share between instances.
    #[cfg(test)]
    Memory(super::memory::MemoryStore),
}

/// An entry with its revision; none: there is no entry yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) usage: Usage,
    pub(crate) revision: Option<u64>,
}

/// Another instance has written, or may have: read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conflict;

impl UsageStore {
    /// Reads an entry, until it can be read: nothing may be sent on a guess.
    pub(crate) async fn load(&self, key: &str) -> Stored {
        match self {
            Self::Kv(nats) => loop {
                let read = || async { bucket(nats).await?.get(key).await };
                match retry("read used quota", read).await {
                    Ok(Some(entry)) => {
                        let revision = Some(entry.revision);
                        return Stored { usage: decode(key, &entry.value), revision };
                    }
                    Ok(None) => return Stored::default(),
                    Err(error) => pause("used quota cannot be read", key, &error).await,
                }
            },
            #[cfg(test)]
            Self::Memory(store) => store.load(key),
        }
    }

    /// Writes an entry if it is as it was read.
    ///
    /// # Errors
    /// [`Conflict`]; other failures are retried.
    pub(crate) async fn save(
        &self,
        key: &str,
        usage: &Usage,
        revision: Option<u64>,
    ) -> Result<u64, Conflict> {
        match self {
            Self::Kv(nats) => loop {
                let value = serde_json::to_vec(usage).unwrap_or_default();
                let write = async {
                    let bucket = bucket(nats).await?;
                    match revision {
                        Some(revision) => bucket.update(key, value, revision).await,
                        None => bucket.create(key, value).await,
                    }
                };
                match write.await {
                    Ok(revision) => return Ok(revision),
                    Err(
                        KvError::WrongRevision { .. }
                        | KvError::AlreadyExists { .. }
                        | KvError::Write(PublishError::UnknownOutcome { .. }),
                    ) => return Err(Conflict),
                    Err(error) => pause("used quota cannot be written", key, &error).await,
                }
            },
            #[cfg(test)]
            Self::Memory(store) => store.save(key, usage, revision),
        }
    }
}

async fn bucket(nats: &Nats) -> Result<Kv, KvError> {
    Ok(nats.kv(Bucket::Cursors).await?)
}

async fn pause(what: &str, key: &str, error: &KvError) {
    tracing::warn!(key, error = %format!("{error:#}"), "{what}, nothing is requested until then");
    tokio::time::sleep(PAUSE).await;
}

fn decode(key: &str, value: &[u8]) -> Usage {
    serde_json::from_slice(value).unwrap_or_else(|error| {
        tracing::error!(key, %error, "used quota is unreadable and counts as none: look at the provider's own count");
        Usage::default()
    })
}
