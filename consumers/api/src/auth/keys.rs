//! The bucket `api_keys`: what commands change, and what every process holds in memory.

use std::time::Duration;

use anyhow::{Context as _, bail};
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{ApiKeyEntry, ApiRole, is_printable};
use crypto_intel_service::now_us;

use super::{key::ApiKey, ring::Ring};

const MAX_NAME_CHARS: usize = 64;

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

impl NewKey {
    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// What is wrong, and how to correct it.
    pub fn validate(&self) -> Result<(), String> {
        let length = self.name.chars().count();
        if length == 0 || length > MAX_NAME_CHARS || !self.name.chars().all(is_printable) {
            let name = &self.name;
            return Err(format!(
                "{name:?} is no name: use 1 to {MAX_NAME_CHARS} printable characters"
            ));
        }
        Ok(())
    }
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
        new.validate().map_err(anyhow::Error::msg)?;
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
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    pub(crate) ring: Ring<ApiKeyEntry>,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self { ring: Ring::new(Bucket::ApiKeys, ">") }
    }
}

impl KeyRing {
    /// The entry of a key that counts now.
    pub(crate) fn find(&self, key: &ApiKey) -> Option<ApiKeyEntry> {
        self.valid(key.id()).filter(|entry| key.has_hash(&entry.hash))
    }

    /// The entry of a key that counts now, by its id: for one who showed the key before.
    pub(crate) fn valid(&self, id: &str) -> Option<ApiKeyEntry> {
        let entry = self.ring.get(id)?.value;
        entry.is_valid(now_us()).then_some(entry)
    }
}
