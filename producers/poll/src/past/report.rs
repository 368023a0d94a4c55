use std::collections::BTreeMap;

use crypto_intel_service::now_us;
use serde::Serialize;

use super::{
    plan::{days, wanted},
    progress::{PastProgress, progress_key},
    queue::{Queued, queue_key},
    span::{Span, Spans},
};
use crate::{catalogue::Provider, config::HistorySettings};

/// How far the past of one series of points is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryReport {
    /// Name of the endpoint, with its entry where it has several.
    pub name: String,
    /// What is wanted: seconds since the epoch, as pairs.
    pub wanted: Vec<Span>,
    /// What was asked for and published.
    pub covered: Spans,
    /// What of it the provider has no points of.
    pub empty: Spans,
    /// Length of what is wanted, seconds.
    pub wanted_seconds: i64,
    /// How much of it is covered, seconds.
    pub covered_seconds: i64,
    /// Events published.
    pub points: u64,
    /// Why it does not go on.
    pub trouble: Option<String>,
}

/// The pasts of a provider that are wanted or were begun, from the values in the bucket `cursors`.
pub(crate) fn history_reports(
    provider: &Provider,
    settings: &HistorySettings,
    entries: &BTreeMap<String, Vec<u8>>,
) -> Vec<HistoryReport> {
    let now_us = now_us();
    let queued = entries.get(&queue_key(&provider.name));
    let queued = queued.and_then(|value| serde_json::from_slice::<Queued>(value).ok());
    let queued = queued.unwrap_or_default();
    let report = |history: &std::sync::Arc<crate::catalogue::History>| {
        let value = entries.get(&progress_key(&history.label()));
        let progress = value.and_then(|value| serde_json::from_slice::<PastProgress>(value).ok());
        let of_queue = queued.get(history.name()).map_or(&[][..], |spans| spans.as_slice());
        let days = days(settings, &provider.name, history);
        let wanted = wanted(history, days, of_queue, now_us);
        if progress.is_none() && wanted.is_empty() {
            return None;
        }
        let PastProgress { covered, empty, points, trouble } = progress.unwrap_or_default();
        let seconds = |spans: &[Span]| spans.iter().map(Span::seconds).sum::<i64>();
        let wanted_seconds = seconds(&wanted);
        let missing: i64 = wanted.iter().map(|span| seconds(&covered.missing_of(*span))).sum();
        Some(HistoryReport {
            name: history.name().to_owned(),
            covered_seconds: wanted_seconds - missing,
            wanted_seconds,
            wanted,
            covered,
            empty,
            points,
            trouble,
        })
    };
    let histories = provider.histories.iter().filter(|history| history.enabled());
    histories.filter_map(report).collect()
}
