//! How providers are, for those who do not poll them: from what the poller has published and kept.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{Event, ProviderStatus, Stream, subjects};
use crypto_intel_service::now_us;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    catalogue::{Catalogue, Loaded, Provider, ProviderSummary, Which},
    config::Config,
    past::report::{HistoryReport, history_reports},
    polling::{progress::Progress, schedule::Schedule},
    quota::{calendar::end_us, ledger::entry_names, usage::Usage},
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
}

/// What is used of one window with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaReport {
    /// Place of the key in the configuration, from 1 on.
    pub key: usize,
    /// `second`, `minute`, `day` or `month`.
    pub window: &'static str,
    /// Units used so far.
    pub used: u64,
    /// Units that there are.
    pub limit: u32,
    /// When it begins again, microseconds; absent for windows that slide.
    pub resets_at_us: Option<i64>,
}

/// How one endpoint keeps to its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointReport {
    /// Its name.
    pub name: String,
    /// Beginning of the last slot with a valid answer, microseconds.
    pub last_slot_us: Option<i64>,
    /// When the next slot begins, microseconds.
    pub next_slot_us: i64,
    /// Slots that were done on time.
    pub on_time: usize,
    /// Slots that are remembered.
    pub slots: usize,
}

/// How all providers are, polled or not, by name.
///
/// # Errors
/// When a provider cannot be used, or the server does not answer.
pub async fn provider_reports(
    config: &Config,
    nats: &Nats,
) -> anyhow::Result<Vec<(ProviderSummary, ProviderReport)>> {
    let bucket = nats.kv(Bucket::Cursors).await.context("open bucket of cursors")?;
    let entries = bucket.entries("poll.").await.context("read progress of pollers")?;
    let entries: BTreeMap<String, Vec<u8>> =
        entries.into_iter().map(|(key, entry)| (key, entry.value.to_vec())).collect();
    let loaded = Catalogue::load_right(config, Which::All).context("load providers")?;
    let report = |loaded: Loaded| {
        let entries = &entries;
        async move {
            let report = ProviderReport {
                status: newest_status(nats, &loaded.provider.name).await?,
                quotas: quotas(&loaded.provider, entries),
                endpoints: endpoints(&loaded.provider, entries),
                histories: history_reports(&loaded.provider, &config.history, entries),
            };
            anyhow::Ok((ProviderSummary::of(&loaded), report))
        }
    };
    stream::iter(loaded.into_iter().map(report)).buffered(READ_AT_ONCE).try_collect().await
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

fn quotas(provider: &Provider, entries: &BTreeMap<String, Vec<u8>>) -> Vec<QuotaReport> {
    let now_us = now_us();
    let mut reports = Vec::new();
    for (place, name) in entry_names(&provider.quota_of, &provider.keys).iter().enumerate() {
        let value = entries.get(name).and_then(|value| serde_json::from_slice::<Usage>(value).ok());
        let usage = value.unwrap_or_default();
        reports.extend(provider.limits.windows().map(|(window, limit)| QuotaReport {
            key: place + 1,
            window: window.as_str(),
            used: usage.used(window, now_us),
            limit,
            resets_at_us: window.is_calendar().then(|| end_us(window, now_us)),
        }));
    }
    reports
}

fn endpoints(provider: &Provider, entries: &BTreeMap<String, Vec<u8>>) -> Vec<EndpointReport> {
    let now_us = now_us();
    let report = |endpoint: &std::sync::Arc<crate::catalogue::Endpoint>| {
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
            last_slot_us: progress.slot_us,
            next_slot_us: if is_done { current_us + schedule.every_us() } else { current_us },
            on_time,
            slots,
        }
    };
    provider.endpoints.iter().map(report).collect()
}
