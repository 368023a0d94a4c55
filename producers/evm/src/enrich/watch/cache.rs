use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, KvError, Nats, NatsError};
use crypto_intel_schemas::{AccountAddress, Address, Event, WatchChain, Watched};
use crypto_intel_service::Backoff;
use futures::FutureExt as _;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    addresses::{Addresses, LabelTexts},
    list::read_entry,
};
use crate::metrics::Metrics;

/// Changes that come in a row are taken together: each makes a new copy of the list.
const COLLECT: Duration = Duration::from_millis(50);
const MAX_AT_ONCE: usize = 10_000;

/// The watch-list as it is now, kept up to date from the bucket `watchlist`.
#[derive(Debug, Clone)]
pub(crate) struct WatchlistCache {
    lists: Arc<RwLock<HashMap<WatchChain, Arc<Addresses>>>>,
    loaded: watch::Sender<bool>,
    metrics: Metrics,
}

/// The watch-list of one chain as it was at one moment: that of a block.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchView {
    own: Option<Arc<Addresses>>,
    every: Option<Arc<Addresses>>,
}

impl WatchView {
    /// Labels and tags of an address that is watched.
    pub(crate) fn labels_of(&self, address: &AccountAddress) -> Option<impl Iterator<Item = &str>> {
        let own = self.own.as_ref().and_then(|list| list.get(address));
        let every = self.every.as_ref().and_then(|list| list.get(address));
        if own.is_none() && every.is_none() {
            return None;
        }
        Some([own, every].into_iter().flatten().flat_map(|labels| labels.iter()))
    }

    /// Whether an address is watched.
    pub(crate) fn has(&self, address: &AccountAddress) -> bool {
        self.labels_of(address).is_some()
    }

    /// Every watched address; one that is watched on this chain and on all comes twice.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &AccountAddress> {
        [&self.own, &self.every].into_iter().flatten().flat_map(|list| list.iter())
    }

    /// Whether an event touches an address of the list.
    pub(crate) fn is_touched_by(&self, event: &Event) -> bool {
        event.touched().iter().any(|address| self.has(address))
    }

    /// Whether nothing is watched.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_none() && self.every.is_none()
    }

    /// Whether this is the very same list.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Option<Arc<Addresses>>, two: &Option<Arc<Addresses>>| match (one, two) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        };
        same(&self.own, &other.own) && same(&self.every, &other.every)
    }
}

impl WatchlistCache {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { lists: Arc::default(), loaded: watch::Sender::new(false), metrics }
    }

    /// What is watched on a chain now.
    pub(crate) fn view(&self, chain: &str) -> WatchView {
        let lists = self.lists.read();
        if lists.is_empty() {
            return WatchView::default();
        }
        WatchView {
            own: lists.get(&WatchChain::One(chain.to_owned())).cloned(),
            every: lists.get(&WatchChain::All).cloned(),
        }
    }

    /// Waits until the list was read once, so that no block goes out without its labels.
    pub(crate) async fn loaded(&self) {
        // The sender is here: it cannot have gone.
        let _ = self.loaded.subscribe().wait_for(|loaded| *loaded).await;
    }

    /// Keeps the cache up to date until `shutdown`.
    pub(crate) async fn watch(self, nats: Nats, shutdown: CancellationToken) {
        let backoff = Backoff::default();
        let mut delays = backoff.delays();
        loop {
            let watched = tokio::select! {
                () = shutdown.cancelled() => return,
                watched = self.watch_once(&nats) => watched,
            };
            match watched {
                Ok(()) => delays = backoff.delays(),
                Err(error) => {
                    let missing = is_missing(&error);
                    tracing::warn!(error = %format!("{error:#}"), "watch-list cannot be read, trying again");
                    // A server of an older version has no such bucket: chains do not wait for it.
                    if missing {
                        self.loaded.send_replace(true);
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delays.next().unwrap_or(backoff.longest)) => {}
            }
        }
    }

    async fn watch_once(&self, nats: &Nats) -> anyhow::Result<()> {
        let bucket = nats.kv(Bucket::Watchlist).await.context("open bucket watchlist")?;
        let mut watch = bucket.watch_all().await.context("watch bucket watchlist")?;
        let mut lists: HashMap<WatchChain, Addresses> = HashMap::new();
        watch
            .load_each(|change| {
                if let Some((chain, address, labels)) = read_change(&change) {
                    lists.entry(chain).or_default().put(address, labels);
                }
            })
            .await;
        lists.values_mut().for_each(Addresses::index);
        self.replace(lists.into_iter().map(|(chain, list)| (chain, Arc::new(list))).collect());
        self.loaded.send_replace(true);
        while let Some(change) = watch.next().await {
            let mut changes = vec![change];
            while changes.len() < MAX_AT_ONCE
                && let Some(Some(change)) = watch.next().now_or_never()
            {
                changes.push(change);
            }
            let before = self.lists.read().clone();
            self.apply(before, changes);
            tokio::time::sleep(COLLECT).await;
        }
        Ok(())
    }

    /// Makes the new lists beside the old ones, then swaps them.
    fn apply(&self, before: HashMap<WatchChain, Arc<Addresses>>, changes: Vec<KvChange>) {
        let mut lists = before;
        let mut changed: HashMap<WatchChain, Vec<_>> = HashMap::new();
        for (chain, address, labels) in changes.iter().filter_map(read_change) {
            changed.entry(chain).or_default().push((address, labels));
        }
        for (chain, changes) in changed {
            Arc::make_mut(lists.entry(chain).or_default()).change(changes);
        }
        self.replace(lists);
    }

    fn replace(&self, mut lists: HashMap<WatchChain, Arc<Addresses>>) {
        for (chain, list) in &lists {
            self.metrics.watched_addresses(chain.name(), list.len());
        }
        lists.retain(|_, list| !list.is_empty());
        *self.lists.write() = lists;
    }

    /// Replaces a list by addresses without labels: for benchmarks.
    pub(crate) fn set(&self, chain: WatchChain, addresses: impl IntoIterator<Item = Address>) {
        let labels = |address: &AccountAddress| Some(LabelTexts::new(&[address.to_string()]));
        let mut list = Addresses::default();
        let addresses = addresses.into_iter().map(AccountAddress::from);
        list.change(addresses.map(|address| (address, labels(&address))));
        self.lists.write().insert(chain, Arc::new(list));
    }
}

/// An entry that changed, with what events say of it; `None` for its labels where it left or cannot be read.
fn read_change(change: &KvChange) -> Option<(WatchChain, AccountAddress, Option<LabelTexts>)> {
    let (chain, address) = Watched::read_key(&change.key)?;
    let entry = change.value.as_ref().and_then(|value| read_entry(&change.key, value));
    let labels = entry.map(|watched| LabelTexts::new(&watched.entry.labels(&address)));
    Some((chain, address, labels))
}

fn is_missing(error: &anyhow::Error) -> bool {
    let nats =
        error.downcast_ref::<NatsError>().or_else(|| match error.downcast_ref::<KvError>() {
            Some(KvError::Read(error)) => Some(error),
            _ => None,
        });
    matches!(nats, Some(NatsError::NoStream { .. }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_service::prometheus::Registry;

    use super::*;

    fn board() -> WatchlistCache {
        WatchlistCache::new(Metrics::new(&Registry::new()).unwrap())
    }

    fn change(key: &str, value: Option<&str>) -> KvChange {
        let value = value.map(|value| value.as_bytes().to_vec().into());
        KvChange { key: key.to_owned(), value, revision: 1, stored_at_us: 1 }
    }

    #[test]
    fn a_view_stays_as_it_was_and_both_lists_count() {
        let (board, address) = (board(), AccountAddress::from(Address::repeat_byte(7)));
        let labels = |view: &WatchView| -> Vec<String> {
            view.labels_of(&address).into_iter().flatten().map(ToOwned::to_owned).collect()
        };
        let before = board.view("base");
        assert!(before.is_empty());
        let own = format!("base.{address}");
        let every = format!("_all.{address}");
        let apply = |changes: Vec<KvChange>| {
            let before = board.lists.read().clone();
            board.apply(before, changes);
        };
        apply(vec![
            change(&own, Some(r#"{"label":"ours","tags":["hot"]}"#)),
            change(&every, Some(r#"{"label":"anywhere"}"#)),
        ]);
        let with = board.view("base");
        assert_eq!(labels(&with), ["ours", "#hot", "anywhere"]);
        assert_eq!(labels(&board.view("other")), ["anywhere"]);
        assert!(with.is_same(&board.view("base")) && !with.is_same(&before));
        apply(vec![change(&own, None), change(&every, None)]);
        assert!(board.view("base").is_empty());
        assert_eq!(labels(&with), ["ours", "#hot", "anywhere"], "the block's view does not change");
    }
}
