//! The pauses that hold, as this process knows them.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvChange, Nats};
use crypto_intel_service::Probe;
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};

use super::{
    attempt::{ASKED_PREFIX, AskedTry},
    pause::{PREFIX, Pause},
};

const OPEN_AGAIN: Duration = Duration::from_secs(2);

/// By their keys; absent until the bucket was read.
type Known = Option<BTreeMap<String, Pause>>;

/// What is paused. Nothing may be asked on a guess: until the bucket was read everything is.
#[derive(Debug, Clone)]
pub(crate) struct PauseBoard {
    known: Arc<watch::Sender<Known>>,
}

/// Whether an endpoint may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    Paused(Pause),
    /// The bucket was not read yet.
    Unknown,
}

impl PauseBoard {
    /// Before the bucket was read.
    pub(crate) fn unread() -> Self {
        Self { known: Arc::new(watch::Sender::new(None)) }
    }

    /// Where people pause nothing.
    pub(crate) fn open() -> Self {
        Self { known: Arc::new(watch::Sender::new(Some(BTreeMap::new()))) }
    }

    /// Whether an endpoint may be asked now; of several pauses the one that ends last.
    pub(crate) fn of(&self, provider: &str, endpoint: &str, now_us: i64) -> Standing {
        let known = self.known.borrow();
        let Some(pauses) = known.as_ref() else { return Standing::Unknown };
        let holds = |pause: &&Pause| pause.covers(provider, endpoint) && pause.is_active(now_us);
        let longest = pauses.values().filter(holds).max_by_key(|pause| pause.until_us);
        longest.map_or(Standing::Open, |pause| Standing::Paused(pause.clone()))
    }

    /// Tells when it changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Follows the bucket, and hands on what people want tried.
    pub(crate) async fn follow(
        &self,
        nats: &Nats,
        tries: &broadcast::Sender<AskedTry>,
        probe: &Probe,
    ) -> Infallible {
        loop {
            match self.follow_once(nats, tries, probe).await {
                Ok(()) => probe.unhealthy("the connection to nats was closed"),
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "cannot read what is paused, trying again");
                    probe.unhealthy(format!("{error:#}"));
                }
            }
            tokio::time::sleep(OPEN_AGAIN).await;
        }
    }

    async fn follow_once(
        &self,
        nats: &Nats,
        tries: &broadcast::Sender<AskedTry>,
        probe: &Probe,
    ) -> anyhow::Result<()> {
        let bucket = nats.kv(Bucket::Providers).await.context("open bucket of providers")?;
        let mut watch = bucket.watch(">").await.context("watch bucket of providers")?;
        let mut known = BTreeMap::new();
        for change in watch.load().await {
            take(&mut known, change, tries);
        }
        self.known.send_replace(Some(known));
        probe.healthy("follows what is paused");
        while let Some(change) = watch.next().await {
            self.known.send_modify(|known| take(known.get_or_insert_default(), change, tries));
            probe.healthy("follows what is paused");
        }
        Ok(())
    }
}

fn take(
    known: &mut BTreeMap<String, Pause>,
    change: KvChange,
    tries: &broadcast::Sender<AskedTry>,
) {
    if change.key.starts_with(PREFIX) {
        match change.value.as_deref().and_then(|value| read(&change.key, value)) {
            Some(pause) => known.insert(change.key, pause),
            None => known.remove(&change.key),
        };
    } else if change.key.starts_with(ASKED_PREFIX)
        && let Some(asked) =
            change.value.as_deref().and_then(|value| read::<AskedTry>(&change.key, value))
        && asked.is_recent()
    {
        // Without a receiver this instance polls nothing.
        let _ = tries.send(asked);
    }
}

fn read<T: DeserializeOwned>(key: &str, value: &[u8]) -> Option<T> {
    serde_json::from_slice(value)
        .inspect_err(|error| tracing::warn!(key, %error, "an entry of the bucket of providers is unreadable, ignored"))
        .ok()
}
