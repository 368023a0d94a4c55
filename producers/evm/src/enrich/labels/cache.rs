use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_labels::{ChainScope, LabelBook};
use crypto_intel_nats::{Bucket, Nats, NatsError};
use crypto_intel_schemas::{AccountAddress, Event};
use crypto_intel_service::Backoff;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::load::{load, shipped_only};
use crate::metrics::Metrics;

/// Several changes in a row make one new book.
const COLLECT: Duration = Duration::from_millis(200);

/// All labels as they are now, kept up to date from the bucket `labels`.
#[derive(Debug, Clone)]
pub(crate) struct LabelCache {
    book: Arc<RwLock<Arc<LabelBook>>>,
    loaded: watch::Sender<bool>,
    metrics: Metrics,
}

/// Labels of one chain as they were at one moment: that of a block.
#[derive(Debug, Clone)]
pub(crate) struct LabelView {
    book: Arc<LabelBook>,
    scope: ChainScope,
}

impl Default for LabelView {
    /// Nothing is labelled.
    fn default() -> Self {
        Self::of(Arc::default(), "")
    }
}

impl LabelView {
    fn of(book: Arc<LabelBook>, chain: &str) -> Self {
        let scope = book.scope_of(chain);
        Self { book, scope }
    }

    /// Puts what is known of both sides on an event.
    pub(crate) fn name_parties(&self, event: &mut Event) {
        if self.book.is_empty() {
            return;
        }
        let Some(parties) = event.parties() else { return };
        let known = |address: Option<crypto_intel_schemas::Address>| {
            self.book.find(self.scope, &AccountAddress::from(address?))
        };
        let (from, to) = (known(parties.from), known(parties.to));
        let Some(labels) = event.party_labels_mut() else { return };
        for (known, label, tags) in
            [(from, labels.from_label, labels.from_tags), (to, labels.to_label, labels.to_tags)]
        {
            if let Some(known) = known {
                *label = (!known.name.is_empty()).then(|| known.name.to_owned());
                tags.extend_from_slice(known.tags);
            }
        }
    }
}

impl LabelCache {
    /// What is shipped, for now.
    pub(crate) fn new(metrics: Metrics) -> Self {
        let book = Arc::new(RwLock::new(Arc::new(shipped_only())));
        Self { book, loaded: watch::Sender::new(false), metrics }
    }

    /// What is known on a chain now, by the name that lists of labels have for it.
    pub(crate) fn view(&self, chain: &str) -> LabelView {
        LabelView::of(Arc::clone(&self.book.read()), chain)
    }

    /// Waits until the bucket was read once, so that no block goes out without its labels.
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
            if let Err(error) = watched {
                tracing::warn!(error = %format!("{error:#}"), "labels cannot be read, trying again");
                // A server of an older version has no such bucket: chains do not wait for it.
                if matches!(error.downcast_ref(), Some(NatsError::NoStream { .. })) {
                    self.loaded.send_replace(true);
                }
            } else {
                delays = backoff.delays();
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delays.next().unwrap_or(backoff.longest)) => {}
            }
        }
    }

    async fn watch_once(&self, nats: &Nats) -> anyhow::Result<()> {
        let bucket = nats.kv(Bucket::Labels).await.context("open bucket labels")?;
        // Keys of sources have one part, those of their parts have more.
        let mut watch = bucket.watch("*").await.context("watch bucket labels")?;
        watch.load().await;
        loop {
            let book = load(&bucket).await?;
            self.metrics.labelled_addresses(book.len());
            *self.book.write() = Arc::new(book);
            self.loaded.send_replace(true);
            if watch.next_ready(usize::MAX).await.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(COLLECT).await;
        }
    }
}
