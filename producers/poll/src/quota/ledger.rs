use crypto_intel_service::Secret;
use sha2::{Digest as _, Sha256};

use super::{
    calendar::shown,
    limits::{Limits, Window},
    signals::Signals,
    store::UsageStore,
    usage::{Blocked, Usage},
};
use crate::clock::Clock;

/// What is used of each key of a provider, and of those that are counted with it: they write the same entries. A request is counted, durably, before it is sent.
#[derive(Debug)]
pub(crate) struct Ledger {
    provider: String,
    limits: Limits,
    keys: Vec<KeyEntry>,
    store: UsageStore,
    clock: Clock,
}

#[derive(Debug)]
struct KeyEntry {
    /// Of its entry in the store.
    name: String,
    usage: Usage,
    revision: Option<u64>,
    loaded: bool,
}

impl Ledger {
    /// One entry for each key, or one for none.
    pub(crate) fn new(
        provider: &str,
        limits: Limits,
        keys: &[Secret],
        store: UsageStore,
        clock: Clock,
    ) -> Self {
        let entry = |name: String| KeyEntry {
            name,
            usage: Usage::default(),
            revision: None,
            loaded: false,
        };
        let keys = entry_names(provider, keys).into_iter().map(entry).collect();
        Self { provider: provider.to_owned(), limits, keys, store, clock }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many keys there are; one where there is none.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// What is used of a key, as far as this instance knows.
    pub(crate) fn usage(&self, place: usize) -> Option<&Usage> {
        self.keys.get(place).filter(|entry| entry.loaded).map(|entry| &entry.usage)
    }

    /// What is used of a key, by whichever instance.
    pub(crate) async fn loaded_usage(&mut self, place: usize) -> Usage {
        self.load(place).await;
        self.usage(place).cloned().unwrap_or_default()
    }

    /// Counts a request with the key at this place. The caller sends it now.
    ///
    /// # Errors
    /// What it has to wait for.
    pub(crate) async fn reserve(&mut self, place: usize, weight: u32) -> Result<(), Blocked> {
        loop {
            self.load(place).await;
            let now_us = self.clock.now_us();
            let Some(entry) = self.keys.get_mut(place) else { return Ok(()) };
            entry.usage.check(&self.limits, weight, now_us)?;
            let before = entry.usage.clone();
            let mut after = before.clone();
            after.take(&self.limits, weight, now_us);
            let nearly_spent = after.warn(&self.limits, now_us);
            if !self.save(place, after).await {
                continue;
            }
            self.warn(place, &nearly_spent);
            // Writing took a while: here the request counts from now on, when it is sent.
            let sent_us = self.clock.now_us();
            if !before.same_periods(now_us, sent_us) {
                continue;
            }
            if let Some(entry) = self.keys.get_mut(place) {
                entry.usage = before;
                entry.usage.take(&self.limits, weight, sent_us);
                entry.usage.warn(&self.limits, sent_us);
            }
            return Ok(());
        }
    }

    /// Takes note of what the provider said in its answer to a request of this weight.
    pub(crate) async fn settle(&mut self, place: usize, weight: u32, signals: &Signals) {
        if *signals == Signals::default() {
            return;
        }
        self.change(place, |usage, limits, now_us| {
            let ends_us = signals.reset.map(|wait| {
                now_us.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
            });
            if let Some(cost) = signals.cost {
                usage.correct(limits, weight, cost, now_us);
            }
            if let Some((window, used)) = signals.used {
                usage.state(window, used, ends_us, now_us);
            }
            let Some((window, remaining)) = signals.remaining else { return };
            if let Some(limit) = limits.of(window) {
                usage.state(window, u64::from(limit).saturating_sub(remaining), ends_us, now_us);
            }
            if remaining == 0 && window.is_calendar() {
                usage.spend(window, ends_us, now_us);
            }
        })
        .await;
    }

    /// The provider says that nothing of a day or month is left.
    pub(crate) async fn spend(&mut self, place: usize, window: Window, until_us: Option<i64>) {
        self.change(place, |usage, _, now_us| usage.spend(window, until_us, now_us)).await;
    }

    async fn change(&mut self, place: usize, change: impl Fn(&mut Usage, &Limits, i64)) {
        loop {
            self.load(place).await;
            let now_us = self.clock.now_us();
            let Some(entry) = self.keys.get_mut(place) else { return };
            let mut after = entry.usage.clone();
            change(&mut after, &self.limits, now_us);
            let nearly_spent = after.warn(&self.limits, now_us);
            // Seconds and minutes are written with the next request.
            if after.same_counts(&entry.usage) {
                entry.usage = after;
                return;
            }
            if self.save(place, after).await {
                self.warn(place, &nearly_spent);
                return;
            }
        }
    }

    async fn load(&mut self, place: usize) {
        let Some(entry) = self.keys.get_mut(place) else { return };
        if entry.loaded {
            return;
        }
        let stored = self.store.load(&entry.name).await;
        entry.usage = stored.usage;
        entry.revision = stored.revision;
        entry.loaded = true;
    }

    /// `false` when another instance wrote first.
    async fn save(&mut self, place: usize, usage: Usage) -> bool {
        let Some(entry) = self.keys.get_mut(place) else { return true };
        // Until the outcome is known, and if this is dropped on the way.
        entry.loaded = false;
        let Ok(revision) = self.store.save(&entry.name, &usage, entry.revision).await else {
            return false;
        };
        entry.usage = usage;
        entry.revision = Some(revision);
        entry.loaded = true;
        true
    }

    fn warn(&self, place: usize, windows: &[Window]) {
        let now_us = self.clock.now_us();
        for window in windows {
            tracing::warn!(
                provider = self.provider,
                key = place + 1,
                window = window.as_str(),
                used = self.usage(place).map_or(0, |usage| usage.used(*window, now_us)),
                limit = self.limits.of(*window),
                resets = shown(super::calendar::end_us(*window, now_us)),
                "quota is nearly spent: poll less often or get a larger plan"
            );
        }
    }
}

/// The names of the entries of a provider's keys; one where there is no key.
pub(crate) fn entry_names(provider: &str, keys: &[Secret]) -> Vec<String> {
    let mut names: Vec<String> = keys.iter().map(digest).collect();
    if names.is_empty() {
        names.push("no-key".to_owned());
    }
    let prefix = entry_prefix(provider);
    names.iter().map(|name| format!("{prefix}{name}")).collect()
}

/// What the names of the entries of a provider's keys begin with.
pub(crate) fn entry_prefix(provider: &str) -> String {
    format!("poll.quota.{provider}.")
}

/// Names a key without telling it.
fn digest(key: &Secret) -> String {
    let digest = Sha256::digest(key.expose().as_bytes());
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}
