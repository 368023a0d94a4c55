use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, Nats};
use crypto_intel_schemas::{AccountAddress, WatchChain, WatchEntry, Watched};
use crypto_intel_service::now_us;

/// What became of entries that were added together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Added {
    /// Not watched before.
    pub new: u64,
    /// Watched under another name, with other tags or as another kind.
    pub changed: u64,
    /// As it was.
    pub unchanged: u64,
}

/// The bucket `watchlist`: what is in it is [`Watched`].
#[derive(Debug, Clone)]
pub struct Watchlist {
    kv: Kv,
}

impl Watchlist {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When it does not exist or the server does not answer.
    pub async fn open(nats: &Nats) -> anyhow::Result<Self> {
        let kv = nats.kv(Bucket::Watchlist).await.context("open bucket watchlist")?;
        Ok(Self { kv })
    }

    /// Watches an address, or changes how it is called; a running producer heeds it from its next block
    /// on. `true` when it was not watched there before.
    ///
    /// # Errors
    /// When the entry is not valid or the bucket cannot be written.
    pub async fn add(
        &self,
        chain: &WatchChain,
        address: &AccountAddress,
        mut entry: WatchEntry,
    ) -> anyhow::Result<bool> {
        entry.validate().map_err(anyhow::Error::msg)?;
        let key = Watched::key(chain, address);
        let known = self.kv.get(&key).await.context("read watchlist")?;
        let is_new = known.is_none();
        // What is known of it since then stays known: another label does not begin it again.
        let known = known.and_then(|known| serde_json::from_slice(&known.value).ok());
        let known: WatchEntry = known.unwrap_or_default();
        entry.added_at_us = if known.added_at_us > 0 { known.added_at_us } else { now_us() };
        let value = serde_json::to_vec(&entry).context("encode entry")?;
        // Without a fence, whose headers would stay in the bucket, twice as large as the entry itself.
        self.kv.put(&key, value).await.context("write watchlist")?;
        Ok(is_new)
    }

    /// What an address is called on a chain; `None` where it is not watched there.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn get(
        &self,
        chain: &WatchChain,
        address: &AccountAddress,
    ) -> anyhow::Result<Option<WatchEntry>> {
        let key = Watched::key(chain, address);
        let found = self.kv.get(&key).await.context("read watchlist")?;
        Ok(found.and_then(|found| read_entry(&key, &found.value)).map(|watched| watched.entry))
    }

    /// Watches many addresses, or changes how they are called; what is as it should be is not written. Says what became of
    /// how many.
    ///
    /// # Errors
    /// When an entry is not valid, before any is written, or the bucket cannot be read or written. What was written stays;
    /// the same call goes on with the rest.
    pub async fn add_all(&self, entries: Vec<Watched>) -> anyhow::Result<Added> {
        for watched in &entries {
            watched.entry.validate().map_err(anyhow::Error::msg)?;
        }
        let known: HashMap<String, WatchEntry> = self
            .list()
            .await?
            .into_iter()
            .map(|one| (Watched::key(&one.chain, &one.address), one.entry))
            .collect();
        let mut added = Added::default();
        let mut changes = Vec::new();
        // Of an address that is there twice the last one counts.
        let entries: BTreeMap<String, WatchEntry> = entries
            .into_iter()
            .map(|one| (Watched::key(&one.chain, &one.address), one.entry))
            .collect();
        for (key, mut entry) in entries {
            match known.get(&key) {
                Some(known) if known.says_the_same(&entry) => {
                    added.unchanged += 1;
                    continue;
                }
                Some(_) => added.changed += 1,
                None => added.new += 1,
            }
            let since = known.get(&key).map(|known| known.added_at_us).filter(|since| *since > 0);
            entry.added_at_us = since.unwrap_or_else(now_us);
            let value = serde_json::to_vec(&entry).context("encode entry")?;
            changes.push((key, Some(value.into())));
        }
        let wanted = changes.len();
        self.kv.write_many(changes).await.with_context(|| {
            format!("write watchlist: not all of {wanted} entries are in it; the same command goes on with the rest")
        })?;
        Ok(added)
    }

    /// Watches all addresses no longer that are meant; returns which.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub async fn remove_all(
        &self,
        is_meant: impl Fn(&Watched) -> bool,
    ) -> anyhow::Result<Vec<Watched>> {
        let mut tagged = self.list().await?;
        tagged.retain(is_meant);
        let changes = tagged.iter().map(|one| (Watched::key(&one.chain, &one.address), None));
        self.kv.write_many(changes).await.context("write watchlist")?;
        Ok(tagged)
    }

    /// Watches an address no longer. `false` when it was not watched there.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub async fn remove(
        &self,
        chain: &WatchChain,
        address: &AccountAddress,
    ) -> anyhow::Result<bool> {
        let key = Watched::key(chain, address);
        if self.kv.get(&key).await.context("read watchlist")?.is_none() {
            return Ok(false);
        }
        self.kv.delete(&key).await.context("write watchlist")?;
        Ok(true)
    }

    /// All watched addresses, by chain and address; what cannot be read is left out with a warning.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn list(&self) -> anyhow::Result<Vec<Watched>> {
        let entries = self.kv.entries("").await.context("read watchlist")?;
        Ok(entries.iter().filter_map(|(key, entry)| read_entry(key, &entry.value)).collect())
    }
}

/// An entry of the bucket; anybody may have written it.
pub(super) fn read_entry(key: &str, value: &[u8]) -> Option<Watched> {
    Watched::read(key, value)
        .map_err(|reason| {
            tracing::warn!(key, reason, "entry of bucket `watchlist` is unreadable, ignored");
        })
        .ok()
}
