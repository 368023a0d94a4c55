//! The bucket `api_keys`: what commands change, and what every process holds in memory.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Bucket, Kv, KvChange, KvError, Nats};
use crypto_intel_schemas::{ApiKeyEntry, ApiRole};
use crypto_intel_service::{Probe, Stopped, now_us, unless_stopped};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::key::ApiKey;

const MAX_NAME_CHARS: usize = 64;
const OPEN_AGAIN: Duration = Duration::from_secs(2);

/// What a new key is made of.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose it is.
    pub name: String,
    /// What its holder may do.
    pub role: ApiRole,
    /// Chains that it may see; `None` for all.
    pub chains: Option<Vec<String>>,
    /// How long it counts; `None` without limit.
    pub lifetime: Option<Duration>,
}

/// The keys of a server. A change is in force within a second, in every process.
#[derive(Debug, Clone)]
pub struct Keys {
    kv: Kv,
}

impl Keys {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the server does not answer or has no such bucket.
    pub async fn open(nats: &Nats) -> anyhow::Result<Self> {
        Ok(Self { kv: nats.kv(Bucket::ApiKeys).await.context("open bucket api_keys")? })
    }

    /// Makes a key. What is returned is all there is of it: the bucket has its hash.
    ///
    /// # Errors
    /// When the name is no name, or the bucket cannot be written.
    pub async fn add(&self, new: NewKey) -> anyhow::Result<(ApiKey, ApiKeyEntry)> {
        let length = new.name.chars().count();
        if length == 0 || length > MAX_NAME_CHARS || new.name.chars().any(char::is_control) {
            bail!("{:?} is no name: use 1 to {MAX_NAME_CHARS} printable characters", new.name);
        }
        let created_at_us = now_us();
        let expires_at_us = new.lifetime.map(|lifetime| {
            let lifetime_us = i64::try_from(lifetime.as_micros()).unwrap_or(i64::MAX);
            created_at_us.saturating_add(lifetime_us)
        });
        loop {
            let key = ApiKey::random();
            let entry = ApiKeyEntry {
                hash: key.hash(),
                name: new.name.clone(),
                role: new.role,
                chains: new.chains.clone(),
                created_at_us,
                expires_at_us,
                revoked_at_us: None,
            };
            let value = serde_json::to_vec(&entry).context("encode the key")?;
            match self.kv.create(key.id(), value).await {
                Ok(_) => return Ok((key, entry)),
                // Ids are short: another key may have this one.
                Err(KvError::AlreadyExists { .. }) => {}
                Err(error) => return Err(error).context("write the key"),
            }
        }
    }

    /// All keys by their ids, revoked ones too, oldest first.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list(&self) -> anyhow::Result<Vec<(String, ApiKeyEntry)>> {
        let entries = self.kv.entries("").await.context("read the keys")?;
        let mut keys: Vec<(String, ApiKeyEntry)> = entries
            .into_iter()
            .filter_map(|(id, entry)| Some((id, decode(&entry.value)?)))
            .collect();
        keys.sort_by(|(one_id, one), (two_id, two)| {
            (one.created_at_us, one_id).cmp(&(two.created_at_us, two_id))
        });
        Ok(keys)
    }

    /// Revokes a key; `false` when it was revoked before.
    ///
    /// # Errors
    /// When there is no such key, or the bucket cannot be read or written.
    pub async fn revoke(&self, id: &str) -> anyhow::Result<bool> {
        for _ in 0..8 {
            let found = self.kv.get(id).await.context("read the key")?;
            let Some((found, mut entry)) =
                found.and_then(|found| decode(&found.value).map(|entry| (found, entry)))
            else {
                bail!("there is no key {id}; `crypto-intel keys list` shows them");
            };
            if entry.revoked_at_us.is_some() {
                return Ok(false);
            }
            entry.revoked_at_us = Some(now_us());
            let value = serde_json::to_vec(&entry).context("encode the key")?;
            match self.kv.update(id, value, found.revision).await {
                Ok(_) => return Ok(true),
                Err(KvError::WrongRevision { .. }) => {}
                Err(error) => return Err(error).context("write the key"),
            }
        }
        bail!("others change key {id} all the time: try again");
    }
}

fn decode(value: &[u8]) -> Option<ApiKeyEntry> {
    serde_json::from_slice(value).ok()
}

/// The keys in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyRing {
    keys: Arc<RwLock<HashMap<String, ApiKeyEntry>>>,
}

impl KeyRing {
    /// The entry of a key that counts now.
    pub(crate) fn find(&self, key: &ApiKey) -> Option<ApiKeyEntry> {
        let entry = self.keys.read().get(key.id()).cloned()?;
        (key.has_hash(&entry.hash) && entry.is_valid(now_us())).then_some(entry)
    }

    /// Follows the bucket until `stop`. While it cannot be opened no key counts, and `probe` says so.
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
                    tracing::warn!(error = %format!("{error:#}"), "cannot read the keys of the API, trying again");
                    probe.unhealthy(format!("{error:#}"));
                }
            }
            unless_stopped(&stop, tokio::time::sleep(OPEN_AGAIN)).await?;
        }
    }

    async fn follow_once(&self, nats: &Nats, probe: &Probe) -> anyhow::Result<()> {
        let kv = nats.kv(Bucket::ApiKeys).await.context("open bucket api_keys")?;
        let mut watch = kv.watch_all().await.context("watch bucket api_keys")?;
        let mut held = HashMap::new();
        watch.load().await.into_iter().for_each(|change| take(&mut held, change));
        *self.keys.write() = held;
        probe.healthy(format!("{} keys", watch.live()));
        while let Some(change) = watch.next().await {
            take(&mut self.keys.write(), change);
            probe.healthy(format!("{} keys", watch.live()));
        }
        Ok(())
    }
}

fn take(keys: &mut HashMap<String, ApiKeyEntry>, change: KvChange) {
    let entry = change.value.as_deref().and_then(decode);
    if entry.is_none() && change.value.is_some() {
        tracing::warn!(key = change.key, "entry of bucket `api_keys` is unreadable, ignored");
    }
    match entry {
        Some(entry) => keys.insert(change.key, entry),
        None => keys.remove(&change.key),
    };
}
