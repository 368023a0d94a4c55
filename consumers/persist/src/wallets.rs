//! Keeps the table `wallets` from the bucket `watchlist`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, Leadership};
use crypto_intel_schemas::{Address, WatchChain, Watched};
use crypto_intel_service::now_us;
use crypto_intel_store::Store;

use crate::{apply::with_mend, task::LeaderTask};

/// Changes that are written together.
const CHANGES_AT_ONCE: usize = 5_000;

/// Keeps the table for as long as the process runs.
#[derive(Debug)]
pub(crate) struct WalletTask {
    pub(crate) leadership: Leadership,
    pub(crate) store: Store,
}

impl LeaderTask for WalletTask {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn purpose(&self) -> String {
        "keep the table of wallets".to_owned()
    }

    async fn run_term(&self) -> anyhow::Result<()> {
        self.follow().await.map(|never| match never {})
    }
}

impl WalletTask {
    /// Takes over the whole bucket, then its changes. Cancel-safe.
    async fn follow(&self) -> anyhow::Result<std::convert::Infallible> {
        let bucket =
            self.leadership.nats().kv(Bucket::Watchlist).await.context("open bucket watchlist")?;
        let mut watch = bucket.watch_all().await.context("watch bucket watchlist")?;
        let entries: Vec<Watched> = watch.load().await.iter().filter_map(read).collect();
        self.take_over(&entries).await?;
        let mut addresses = format!("{} addresses are watched", entries.len());
        drop(entries);
        self.leadership.probe().healthy(addresses);
        loop {
            let changes = watch.next_ready(CHANGES_AT_ONCE).await;
            anyhow::ensure!(!changes.is_empty(), "the NATS client was closed");
            self.apply(changes).await?;
            addresses = match watch.waiting() {
                0 => format!("{} addresses are watched", watch.live()),
                waiting => format!("{waiting} changes of the watch-list wait to be stored"),
            };
            self.leadership.probe().healthy(addresses);
        }
    }

    /// Brings the table to what the bucket holds.
    async fn take_over(&self, entries: &[Watched]) -> anyhow::Result<()> {
        let mut waiting = entries.len();
        for slice in entries.chunks(CHANGES_AT_ONCE) {
            self.leadership
                .probe()
                .healthy(format!("{waiting} entries of the watch-list wait to be stored"));
            self.store.keep_wallets(slice).await.map_err(with_mend)?;
            waiting -= slice.len();
        }
        self.store.remove_other_wallets(entries).await.map_err(with_mend)
    }

    async fn apply(&self, changes: Vec<KvChange>) -> anyhow::Result<()> {
        // Of several changes of a key the last one counts.
        let last: BTreeMap<&str, &KvChange> =
            changes.iter().map(|change| (change.key.as_str(), change)).collect();
        let kept: Vec<Watched> = last.values().filter_map(|change| read(change)).collect();
        let removed: Vec<(WatchChain, Address, i64)> =
            last.values().filter_map(|change| removed(change)).collect();
        self.store.keep_wallets(&kept).await.map_err(with_mend)?;
        self.store.remove_wallets(&removed).await.map_err(with_mend)
    }
}

/// What left the list, and when. What became unreadable is watched no longer, as producers see it.
fn removed(change: &KvChange) -> Option<(WatchChain, Address, i64)> {
    if change.value.as_ref().is_some_and(|value| Watched::read(&change.key, value).is_ok()) {
        return None;
    }
    let (chain, address) = Watched::read_key(&change.key)?;
    // Of a bucket that was made anew nobody knows when it lost the key.
    let at_us = if change.stored_at_us > 0 { change.stored_at_us } else { now_us() };
    Some((chain, address, at_us))
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
