//! The bucket `pasts`: which ranges of blocks are complete for an address.

use std::collections::{BTreeSet, HashMap};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Entry, Kv, KvError, Nats};
use crypto_intel_schemas::{Covers, Past, PastDoubt, PastRange};
use crypto_intel_service::now_us;
use futures::{FutureExt as _, StreamExt as _};

use crate::source::{header::Span, past::Doubt};

/// Records that are read or written at once.
const AT_ONCE: usize = 16;

/// The pasts of the addresses of one chain.
#[derive(Debug, Clone)]
pub struct Pasts {
    kv: Kv,
    chain: String,
}

impl Pasts {
    /// Opens the bucket.
    ///
    /// # Errors
    /// When the bucket does not exist or the server does not answer.
    pub async fn open(nats: &Nats, chain: &str) -> Result<Self, KvError> {
        let kv = nats.kv(Bucket::Pasts).await.map_err(KvError::Read)?;
        Ok(Self { kv, chain: chain.to_owned() })
    }

    /// What is kept of an address. What is unreadable counts as nothing, and the log says so.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn get(&self, address: &str) -> anyhow::Result<Past> {
        let key = Past::key(&self.chain, address);
        let entry = self.kv.get(&key).await.context("read the past of an address")?;
        Ok(entry.map(|entry| read(&key, &entry.value)).unwrap_or_default())
    }

    /// What is kept of all addresses of the chain, by their text.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn all(&self) -> anyhow::Result<HashMap<String, Past>> {
        let prefix = Past::key(&self.chain, "");
        let entries = self.kv.entries(&prefix).await.context("read the pasts of addresses")?;
        let read = |(key, entry): (String, Entry)| {
            Some((key.strip_prefix(&prefix)?.to_owned(), read(&key, &entry.value)))
        };
        Ok(entries.into_iter().filter_map(read).collect())
    }
}

fn read(key: &str, value: &[u8]) -> Past {
    serde_json::from_slice(value).unwrap_or_else(|error| {
        tracing::warn!(key, %error, "what is kept of an address's past is unreadable, it counts as nothing");
        Past::default()
    })
}

/// The records of the addresses of one pass.
#[derive(Debug)]
pub(crate) struct PastRecords {
    pasts: Pasts,
    scope: Option<String>,
    known: HashMap<String, Past>,
    changed: BTreeSet<String>,
}

impl PastRecords {
    /// Those of the chain, for its scope as it is.
    pub(crate) async fn open(
        nats: &Nats,
        chain: &str,
        scope: Option<String>,
    ) -> anyhow::Result<Self> {
        let pasts = Pasts::open(nats, chain).await.context("open bucket pasts")?;
        Ok(Self { pasts, scope, known: HashMap::new(), changed: BTreeSet::new() })
    }

    /// Reads those of addresses that are not known yet.
    pub(crate) async fn load(&mut self, addresses: &[String]) -> anyhow::Result<()> {
        let missing = addresses.iter().filter(|address| !self.known.contains_key(*address));
        let reads: Vec<_> = missing
            .map(|address| {
                let (pasts, address) = (self.pasts.clone(), address.clone());
                async move { Ok((address.clone(), pasts.get(&address).await?)) }.boxed()
            })
            .collect();
        let mut reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some(read) = reads.next().await {
            let read: anyhow::Result<(String, Past)> = read;
            let (address, past) = read?;
            self.known.insert(address, past);
        }
        Ok(())
    }

    /// A span is published for an address: what of it is complete, and what is in doubt.
    pub(crate) fn add(&mut self, address: &str, span: Span, mut covers: Covers, doubts: &[Doubt]) {
        let mut told = Vec::new();
        for doubt in doubts.iter().filter(|doubt| doubt.address == address) {
            covers.distrust(&doubt.by, doubt.payments_only);
            let Doubt { number, by, text, .. } = doubt.clone();
            told.push(PastDoubt { number, by, text });
        }
        let past = self.known.entry(address.to_owned()).or_default();
        past.add(self.scope.as_deref(), PastRange { from: span.from, to: span.to, covers }, told);
        self.changed.insert(address.to_owned());
    }

    /// Writes those that changed. What cannot be written is said: the events themselves are published.
    pub(crate) async fn write(&mut self) {
        let changed = std::mem::take(&mut self.changed);
        let count = changed.len();
        let mut values = Vec::with_capacity(count);
        for address in changed {
            let Some(past) = self.known.get_mut(&address) else { continue };
            past.at_us = now_us();
            // Numbers and texts: it always encodes.
            let Ok(value) = serde_json::to_vec(past) else { continue };
            values.push((Past::key(&self.pasts.chain, &address), Some(value.into())));
        }
        if let Err(error) = self.pasts.kv.write_many(values).await {
            tracing::warn!(
                chain = self.pasts.chain,
                addresses = count,
                %error,
                hint = "raise streams.streams.KV_pasts.max_bytes if it is full",
                "cannot keep what is complete of the past of addresses"
            );
        }
    }
}
