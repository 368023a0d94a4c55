//! Keeps the table `wallets` from the bucket `watchlist`, and looks up when they were seen.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange};
use crypto_intel_schemas::Watched;
use crypto_intel_service::now_us;
use crypto_intel_store::{ErrorClass, Store, StoreError};
use tokio::time::MissedTickBehavior;

use crate::{
    apply::with_mend,
    duty::{Duty, End, Post},
};

/// How often it is asked whether wallets are to be looked up.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Wallets that are looked up at once.
const LOOK_UP_AT_ONCE: u32 = 100;

/// Keeps the table for as long as the process runs.
#[derive(Debug)]
pub(crate) struct WalletTask {
    pub(crate) post: Post,
    pub(crate) store: Store,
}

impl Duty for WalletTask {
    fn post(&self) -> &Post {
        &self.post
    }

    async fn turn(&self) -> anyhow::Result<End> {
        self.follow().await
    }
}

impl WalletTask {
    /// Takes over the whole bucket, then its changes, until shutdown. Cancel-safe.
    async fn follow(&self) -> anyhow::Result<End> {
        let bucket = self.post.nats.kv(Bucket::Watchlist).await.context("open bucket watchlist")?;
        let mut watch = bucket.watch_all().await.context("watch bucket watchlist")?;
        let entries: Vec<Watched> = watch.load().await.iter().filter_map(read).collect();
        self.store.replace_wallets(&entries).await.map_err(with_mend)?;
        self.post.probe.healthy(format!("{} addresses are watched", entries.len()));
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let change = tokio::select! {
                () = self.post.context.shutdown.cancelled() => return Ok(End::Shutdown),
                change = watch.next() => Some(change.context("the NATS client was closed")?),
                _ = ticks.tick() => None,
            };
            match change {
                Some(change) => self.apply(&change).await.map_err(with_mend)?,
                None => self.look_up().await.map_err(with_mend)?,
            }
        }
    }

    async fn apply(&self, change: &KvChange) -> Result<(), StoreError> {
        if let Some(entry) = read(change) {
            return self.store.keep_wallets(&[entry]).await;
        }
        // What became unreadable is watched no longer, as producers see it.
        let Some((chain, address)) = Watched::read_key(&change.key) else { return Ok(()) };
        // Of a bucket that was made anew nobody knows when it lost the key.
        let removed_at_us = if change.stored_at_us > 0 { change.stored_at_us } else { now_us() };
        self.store.remove_wallet(&chain, &address, removed_at_us).await
    }

    async fn look_up(&self) -> Result<(), StoreError> {
        let unsure = self.store.unsure_wallets(LOOK_UP_AT_ONCE).await?;
        if unsure.is_empty() {
            return Ok(());
        }
        match self.store.look_up_wallets(&unsure).await {
            Ok(kept) => {
                tracing::debug!(kept, of = unsure.len(), "looked up when wallets were seen");
                self.post.probe.healthy("following the watch-list");
                Ok(())
            }
            // Batches held the tables for too long, or there is too much in them: with the next tick.
            Err(error) if error.class() == ErrorClass::Transient => {
                tracing::info!(%error, "wallets are not looked up yet, trying again");
                self.post.probe.unhealthy(format!("wallets are not looked up yet: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// The entry that a key holds; nobody can mend an unreadable one here, and producers warn of it.
fn read(change: &KvChange) -> Option<Watched> {
    let value = change.value.as_ref()?;
    Watched::read(&change.key, value)
        .inspect_err(|reason| {
            tracing::warn!(
                key = change.key,
                reason,
                "entry of bucket `watchlist` is unreadable, ignored"
            );
        })
        .ok()
}
