use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_schemas::{Address, WatchChain, WatchEntry, Watched};
use crypto_intel_service::now_us;

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
        address: &Address,
        mut entry: WatchEntry,
    ) -> anyhow::Result<bool> {
        entry.validate().map_err(anyhow::Error::msg)?;
        entry.added_at_us = now_us();
        let value = serde_json::to_vec(&entry).context("encode entry")?;
        let key = Watched::key(chain, address);
        match self.kv.create(&key, value.clone()).await {
            Ok(_) => Ok(true),
            Err(KvError::AlreadyExists { .. }) => {
                self.kv.put(&key, value).await.context("write watchlist")?;
                Ok(false)
            }
            Err(error) => Err(error).context("write watchlist"),
        }
    }

    /// Watches an address no longer. `false` when it was not watched there.
    ///
    /// # Errors
    /// When the bucket cannot be read or written.
    pub async fn remove(&self, chain: &WatchChain, address: &Address) -> anyhow::Result<bool> {
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
