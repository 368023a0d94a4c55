//! Follows the bucket `watchlist` into the table `wallets`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, Leadership};
use crypto_intel_schemas::{AccountAddress, WatchChain, Watched};
use crypto_intel_service::now_us;
use crypto_intel_store::Store;

use super::LeaderTask;
use crate::hint::with_hint;

/// Changes that are written together.
const MAX_CHANGES: usize = 5_000;

/// Keeps the table up to date for as long as the process runs.
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
    /// Copies the whole bucket, then follows its changes. Cancel-safe.
    async fn follow(&self) -> anyhow::Result<std::convert::Infallible> {
        let bucket =
            self.leadership.nats().kv(Bucket::Watchlist).await.context("open bucket watchlist")?;
        let mut watch = bucket.watch_all().await.context("watch bucket watchlist")?;
        let entries: Vec<Watched> = watch.load().await.iter().filter_map(read).collect();
        self.copy_all(&entries).await?;
        let mut addresses = format!("{} addresses are watched", entries.len());
        drop(entries);
        self.leadership.probe().healthy(addresses);
        loop {
            let changes = watch.next_ready(MAX_CHANGES).await;
            anyhow::ensure!(!changes.is_empty(), "the NATS client was closed");
            self.apply(changes).await?;
            addresses = match watch.waiting() {
                0 => format!("{} addresses are watched", watch.live()),
                waiting => format!("{waiting} changes of the watch-list wait to be stored"),
            };
            self.leadership.probe().healthy(addresses);
        }
    }

    /// Makes the table equal to the bucket.
    async fn copy_all(&self, entries: &[Watched]) -> anyhow::Result<()> {
        let mut waiting = entries.len();
        for slice in entries.chunks(MAX_CHANGES) {
            self.leadership
                .probe()
                .healthy(format!("{waiting} entries of the watch-list wait to be stored"));
            self.store.keep_wallets(slice).await.map_err(with_hint)?;
            waiting -= slice.len();
        }
        self.store.remove_other_wallets(entries).await.map_err(with_hint)
    }

    async fn apply(&self, changes: Vec<KvChange>) -> anyhow::Result<()> {
        // Of several changes of a key the last one counts.
        let last: BTreeMap<&str, &KvChange> =
            changes.iter().map(|change| (change.key.as_str(), change)).collect();
        let kept: Vec<Watched> = last.values().filter_map(|change| read(change)).collect();
        let removed: Vec<(WatchChain, AccountAddress, i64)> =
            last.values().filter_map(|change| removed(change)).collect();
        self.store.keep_wallets(&kept).await.map_err(with_hint)?;
        self.store.remove_wallets(&removed).await.map_err(with_hint)
    }
}

/// The wallet that left the list, and when. Producers do not watch an unreadable entry either.
fn removed(change: &KvChange) -> Option<(WatchChain, AccountAddress, i64)> {
    if change.value.as_ref().is_some_and(|value| Watched::read(&change.key, value).is_ok()) {
        return None;
    }
    let (chain, address) = Watched::read_key(&change.key)?;
    // A recreated bucket does not say when it lost the key.
    let at_us = if change.stored_at_us > 0 { change.stored_at_us } else { now_us() };
    Some((chain, address, at_us))
}

/// The entry of a key; `None` for an unreadable one.
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
