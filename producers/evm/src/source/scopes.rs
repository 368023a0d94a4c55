//! Puts the chain's scope in force: what was published before it and is not complete for it is queued to be published again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use crypto_intel_chain::{
    backfill::queue::{Gap, GapReason, Gaps},
    interrupt::ChainInterrupt,
};
use crypto_intel_nats::{Bucket, Kv, KvError, Nats};
use crypto_intel_service::now_us;
use tokio::sync::Mutex;

use crate::{
    decode::Decoder,
    scope::record::{Range, ScopeRecord},
};

/// The scopes of one chain. Only the leader writes them.
#[derive(Debug)]
pub(crate) struct Scopes {
    chain: String,
    nats: Nats,
    decoder: Arc<Decoder>,
    /// Whether the live lane has still to begin under the scope in force.
    awaits_live: AtomicBool,
    known: Mutex<Known>,
}

/// The record as it was read or written last.
#[derive(Debug, Default)]
struct Known {
    record: ScopeRecord,
    /// `None` where there is no key.
    revision: Option<u64>,
}

impl Scopes {
    pub(crate) fn new(chain: String, nats: Nats, decoder: Arc<Decoder>) -> Self {
        Self { chain, nats, decoder, awaits_live: AtomicBool::new(false), known: Mutex::default() }
    }

    /// Reads the record and puts the configured scope in force. Before the chain is resumed: no block is published under a
    /// version that is not written.
    ///
    /// # Errors
    /// What interrupts the chain.
    pub(crate) async fn load(&self) -> Result<(), ChainInterrupt> {
        let mut known = self.known.lock().await;
        *known = self.read().await?;
        let scope = self.decoder.scope();
        if known.record.put_in_force(scope, now_us()) {
            self.write(&mut known).await?;
            tracing::info!(
                chain = self.chain,
                version = known.record.version(),
                digest = scope.digest(),
                "another scope is in force: what was published before and is not complete for it is queued when the next block is published"
            );
        }
        self.decoder.set_scope_version(known.record.version());
        self.awaits_live.store(known.record.awaits_live(), Ordering::Relaxed);
        Ok(())
    }

    /// Called before a block is published on the live lane. Queues what is missing first: after a crash some may be published
    /// twice, but nothing is forgotten.
    ///
    /// # Errors
    /// What interrupts the chain.
    pub(crate) async fn begin_live(&self, first: u64) -> Result<(), ChainInterrupt> {
        if !self.awaits_live.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut known = self.known.lock().await;
        let mut record = known.record.clone();
        let missing = record.begin_live(first);
        if !missing.is_empty() {
            let gaps = Gaps::open(&self.nats, &self.chain).await?;
            for Range { from, to } in &missing {
                let wanted = Gap::new(*from, *to, GapReason::Scope);
                let wanted = Gap { scope_version: record.newest_version(), ..wanted };
                gaps.queue_gap(wanted).await.map_err(retried)?;
                tracing::info!(
                    chain = self.chain,
                    from,
                    to,
                    "published under a narrower scope: queued for the history lane"
                );
            }
        }
        known.record = record;
        self.write(&mut known).await?;
        self.awaits_live.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Called before the history lane works on a gap: a later scope may have to publish its blocks again.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub(crate) async fn note_past(&self, gap: &Gap) -> anyhow::Result<()> {
        // The past of one address makes no block complete.
        if gap.address.is_some() {
            return Ok(());
        }
        let mut known = self.known.lock().await;
        if known.record.add_past(Range { from: gap.next, to: gap.to }) {
            self.write(&mut known).await.context("write the chain's scopes")?;
        }
        Ok(())
    }

    async fn read(&self) -> Result<Known, ChainInterrupt> {
        // An older copy is noticed when it is written: by its revision.
        let entry = self.bucket().await?.get(&key(&self.chain)).await?;
        let Some(entry) = entry else { return Ok(Known::default()) };
        let record = serde_json::from_slice(&entry.value).unwrap_or_else(|error| {
            tracing::error!(
                chain = self.chain,
                key = key(&self.chain),
                %error,
                "earlier scopes are unreadable, they are forgotten: if the chain had a narrower one, queue its blocks with crypto-intel backfill"
            );
            ScopeRecord::default()
        });
        Ok(Known { record, revision: Some(entry.revision) })
    }

    async fn write(&self, known: &mut Known) -> Result<(), KvError> {
        let bucket = self.bucket().await?;
        let value = serde_json::to_vec(&known.record).unwrap_or_default();
        let revision = match known.revision {
            Some(revision) => bucket.update(&key(&self.chain), value, revision).await?,
            None => bucket.create(&key(&self.chain), value).await?,
        };
        known.revision = Some(revision);
        Ok(())
    }

    async fn bucket(&self) -> Result<Kv, KvError> {
        self.nats.kv(Bucket::Cursors).await.map_err(KvError::Read)
    }
}

/// Key of a chain's scopes.
pub(crate) fn key(chain: &str) -> String {
    format!("scope.{chain}")
}

fn retried(error: anyhow::Error) -> ChainInterrupt {
    ChainInterrupt::replan(format!("{error:#}"))
}
