//! How providers are, for those who do not poll them: from what the poller has published and kept.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{Event, ProviderStatus, Stream, subjects};
use crypto_intel_service::{error_chain, now_us};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    catalogue::{Catalogue, CatalogueError, Endpoint, Loaded, Provider, ProviderSummary, Which},
    config::{Config, HistorySettings},
    control::pause::{Pause, pauses},
    past::report::{HistoryReport, history_reports},
    polling::{compliance::tolerance_us, progress::Progress, schedule::Schedule},
    quota::{
        calendar::end_us,
        ledger::{entry_names, entry_prefix},
        limits::Window,
        usage::{Usage, WARN_PERCENT},
    },
};

/// States that are read at once: a server may be far away.
const READ_AT_ONCE: usize = 32;

/// How one provider is.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderReport {
    /// The newest word of its poller; absent when it was not polled for a week.
    pub status: Option<ProviderStatus>,
    /// What is used of the quota of each key.
    pub quotas: Vec<QuotaReport>,
    /// Its endpoints.
    pub endpoints: Vec<EndpointReport>,
    /// The pasts of its endpoints, as far as they are wanted or there.
    pub histories: Vec<HistoryReport>,
    /// What people paused of it.
    pub pauses: Vec<Pause>,
}

/// What is used of one window with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaReport {
    /// Place of the key in the configuration, from 1 on; absent where this process does not have the keys.
    pub key: Option<usize>,
    /// `second`, `minute`, `day` or `month`.
    pub window: &'static str,
    /// Units used so far.
    pub used: u64,
    /// Units that there are.
    pub limit: u32,
    /// When it begins again, microseconds; absent for windows that slide.
    pub resets_at_us: Option<i64>,
    /// Whether nothing is left, by our count or by the provider's word.
    pub spent: bool,
}

impl QuotaReport {
    /// Whether it is nearly or wholly used.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.spent || self.used * 100 >= u64::from(self.limit) * WARN_PERCENT
    }
}

/// How one endpoint keeps to its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointReport {
    /// Its name.
    pub name: String,
    /// Whether it is polled, if its provider is.
    pub enabled: bool,
    /// Seconds from one slot to the next.
    pub every_seconds: u64,
    /// Seconds without a valid answer after which it is stale.
    pub stale_after_seconds: u64,
    /// Beginning of the last slot with a valid answer, microseconds.
    pub last_slot_us: Option<i64>,
    /// When the next slot begins, microseconds.
    pub next_slot_us: i64,
    /// Slots that were done on time.
    pub on_time: usize,
    /// Slots that are remembered.
    pub slots: usize,
}

impl EndpointReport {
    /// How long the slot after the last one waits for its answer; absent before the first answer, and before it begins.
    #[must_use]
    pub fn late_seconds(&self, now_us: i64) -> Option<u64> {
        let due_us = self.last_slot_us?.saturating_add(self.every_us());
        u64::try_from(now_us.saturating_sub(due_us) / 1_000_000).ok().filter(|_| due_us <= now_us)
    }

    /// Whether that is longer than a slot that counts as done on time takes.
    #[must_use]
    pub fn is_late(&self, now_us: i64) -> bool {
        let tolerance = tolerance_us(self.every_us()) / 1_000_000;
        self.late_seconds(now_us)
            .is_some_and(|late| i64::try_from(late).unwrap_or(i64::MAX) > tolerance)
    }

    /// Seconds since the beginning of the last slot with a valid answer.
    #[must_use]
    pub fn age_seconds(&self, now_us: i64) -> Option<u64> {
        self.last_slot_us.and_then(|last| u64::try_from((now_us - last).max(0) / 1_000_000).ok())
    }

    fn every_us(&self) -> i64 {
        i64::try_from(self.every_seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }
}

/// The providers of a configuration, read once: compiling their filters takes a while.
#[derive(Debug)]
pub struct KnownProviders {
    loaded: Vec<Loaded>,
    histories: HistorySettings,
    wrong: Vec<String>,
}

impl KnownProviders {
    /// Reads them; a file that is wrong does not keep the others from it. Blocks for some tenths of a second.
    ///
    /// # Errors
    /// When the registry of assets cannot be used.
    pub fn load(config: &Config) -> Result<Self, CatalogueError> {
        let Catalogue { good, wrong } = Catalogue::load(config, Which::All)?;
        let wrong = wrong.iter().map(|wrong| error_chain(&wrong.error)).collect();
        Ok(Self { loaded: good, histories: config.history.clone(), wrong })
    }

    /// What is wrong with files and settings.
    #[must_use]
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// How all of them are, polled or not, by name.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn reports(
        &self,
        nats: &Nats,
    ) -> anyhow::Result<Vec<(ProviderSummary, ProviderReport)>> {
        let bucket = nats.kv(Bucket::Cursors).await.context("open bucket of cursors")?;
        let entries = bucket.entries("poll.").await.context("read progress of pollers")?;
        let entries: BTreeMap<String, Vec<u8>> =
            entries.into_iter().map(|(key, entry)| (key, entry.value.to_vec())).collect();
        let paused = pauses(nats).await.context("read what is paused")?;
        let report = |loaded: &Loaded| {
            let (entries, provider) = (&entries, Arc::clone(&loaded.provider));
            let of_it = paused.iter().filter(|pause| pause.provider == provider.name);
            let pauses: Vec<Pause> = of_it.cloned().collect();
            let summary = ProviderSummary::of(loaded);
            async move {
                let report = ProviderReport {
                    status: newest_status(nats, &provider.name).await?,
                    quotas: quotas(&provider, entries),
                    endpoints: endpoints(&provider, entries),
                    histories: history_reports(&provider, &self.histories, entries),
                    pauses,
                };
                anyhow::Ok((summary, report))
            }
        };
        let asked: Vec<_> = self.loaded.iter().map(report).collect();
        stream::iter(asked).buffered(READ_AT_ONCE).try_collect().await
    }
}

/// How all providers are, polled or not, by name.
///
/// # Errors
/// When a provider cannot be used, or the server does not answer.
pub async fn provider_reports(
    config: &Config,
    nats: &Nats,
) -> anyhow::Result<Vec<(ProviderSummary, ProviderReport)>> {
    let loaded = Catalogue::load_right(config, Which::All).context("load providers")?;
    let histories = config.history.clone();
    KnownProviders { loaded, histories, wrong: Vec::new() }.reports(nats).await
}

async fn newest_status(nats: &Nats, provider: &str) -> anyhow::Result<Option<ProviderStatus>> {
    let subject = subjects::provider_status(provider);
    let message = nats.last_on_subject(Stream::Status.name(), &subject).await;
    let Some(message) = message.context("read state of provider")? else { return Ok(None) };
    match Event::decode(&message.payload) {
        Ok(Event::ProviderStatus(status)) => Ok(Some(status)),
        _ => Ok(None),
    }
}

/// Of every key. A process without the secrets does not know which entry is of which key.
fn quotas(provider: &Provider, entries: &BTreeMap<String, Vec<u8>>) -> Vec<QuotaReport> {
    let read = |name: &String| {
        let value = entries.get(name)?;
        serde_json::from_slice::<Usage>(value).ok()
    };
    let own = entry_names(&provider.quota_of, &provider.keys);
    let prefix = entry_prefix(&provider.quota_of);
    let kept: Vec<&String> = entries.keys().filter(|name| name.starts_with(&prefix)).collect();
    let lacks_keys = provider.keys.iter().any(|key| key.problem().is_some())
        || (provider.keys.is_empty() && provider.key_place.is_some());
    let has_own = !lacks_keys || kept.is_empty() || own.iter().any(|name| kept.contains(&name));
    let usages: Vec<(Option<usize>, Usage)> = if has_own {
        let own = own.iter().enumerate();
        own.map(|(place, name)| (Some(place + 1), read(name).unwrap_or_default())).collect()
    } else {
        kept.into_iter().map(|name| (None, read(name).unwrap_or_default())).collect()
    };
    let now_us = now_us();
    let reports = usages.into_iter().flat_map(|(key, usage)| {
        let spent = usage.spent(&provider.limits, now_us).map(|blocked| blocked.window);
        let report = move |(window, limit): (Window, u32)| {
            let used = usage.used(window, now_us);
            QuotaReport {
                key,
                window: window.as_str(),
                used,
                limit,
                resets_at_us: window.is_calendar().then(|| end_us(window, now_us)),
                spent: spent == Some(window) || used >= u64::from(limit),
            }
        };
        provider.limits.windows().map(report).collect::<Vec<_>>()
    });
    reports.collect()
}

fn endpoints(provider: &Provider, entries: &BTreeMap<String, Vec<u8>>) -> Vec<EndpointReport> {
    let now_us = now_us();
    let report = |endpoint: &Arc<Endpoint>| {
        let label = endpoint.label();
        let value = entries.get(&format!("poll.{label}"));
        let progress = value.and_then(|value| serde_json::from_slice::<Progress>(value).ok());
        let progress = progress.unwrap_or_default();
        let schedule = Schedule::new(endpoint.every, &label);
        let current_us = schedule.slot_at(now_us);
        let is_done = progress.slot_us.is_some_and(|slot_us| slot_us >= current_us);
        let (on_time, slots) = progress.slots.on_time();
        EndpointReport {
            name: endpoint.name.clone(),
            enabled: endpoint.enabled,
            every_seconds: endpoint.every.as_secs(),
            stale_after_seconds: endpoint.stale_after.as_secs(),
            last_slot_us: progress.slot_us,
            next_slot_us: if is_done { current_us + schedule.every_us() } else { current_us },
            on_time,
            slots,
        }
    };
    provider.endpoints.iter().map(report).collect()
}
