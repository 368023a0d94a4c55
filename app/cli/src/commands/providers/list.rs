//! `crypto-intel providers list`

use std::process::ExitCode;

use anyhow::Context as _;
use crypto_intel_poll::{
    EndpointReport, HistoryReport, ProviderReport, ProviderSummary, QuotaReport, provider_reports,
    providers,
};
use crypto_intel_schemas::ProviderState;
use crypto_intel_service::now_us;
use serde::Serialize;

use super::super::{connect_nats, exit_code};
use crate::{
    config::AppConfig,
    output::{Output, ago, table, thousands},
};

/// Longest reason in the table; `--json` has all of it.
const SHOWN_CHARACTERS: usize = 60;

/// A provider, and how it does.
#[derive(Debug, Serialize)]
struct Listed {
    provider: ProviderSummary,
    /// Absent without NATS.
    report: Option<ProviderReport>,
}

pub(super) async fn run(config: &AppConfig, all: bool, output: Output) -> anyhow::Result<ExitCode> {
    let (shown, hidden): (Vec<Listed>, Vec<Listed>) =
        listed(config).await?.into_iter().partition(|one| one.provider.enabled || all);
    output.show(&shown, |shown| text_of(shown, hidden.len()))?;
    Ok(exit_code(!shown.iter().any(Listed::is_in_trouble)))
}

/// All providers, by name.
async fn listed(config: &AppConfig) -> anyhow::Result<Vec<Listed>> {
    let asked = async {
        let nats = connect_nats(config, "providers").await?;
        provider_reports(&config.poll, &nats).await
    };
    let listed = |(provider, report)| Listed { provider, report };
    match asked.await {
        Ok(all) => Ok(all.into_iter().map(|(one, report)| listed((one, Some(report)))).collect()),
        Err(error) => {
            let all = providers(&config.poll).context("read provider files")?;
            tracing::warn!(error = %format!("{error:#}"), "without NATS nothing is known of their state");
            Ok(all.into_iter().map(|provider| listed((provider, None))).collect())
        }
    }
}

impl Listed {
    fn is_in_trouble(&self) -> bool {
        let status = self.report.as_ref().and_then(|report| report.status.as_ref());
        let state = status.map(|status| status.state);
        self.provider.enabled
            && matches!(
                state,
                Some(ProviderState::Failing | ProviderState::Refused | ProviderState::Held)
            )
    }

    fn row(&self, now_us: i64) -> [String; 10] {
        let report = self.report.as_ref();
        let status = report.and_then(|report| report.status.as_ref());
        let state = match status {
            _ if !self.provider.enabled && self.provider.needs_key && !self.provider.has_key => {
                "no key".to_owned()
            }
            _ if !self.provider.enabled => "off".to_owned(),
            None => "no word yet".to_owned(),
            Some(status) => status.state.as_str().replace('_', " "),
        };
        let endpoints: &[EndpointReport] = report.map_or(&[], |report| &report.endpoints);
        let polled = self.provider.enabled;
        let last = endpoints.iter().filter_map(|endpoint| endpoint.last_slot_us).max();
        let next = endpoints.iter().map(|endpoint| endpoint.next_slot_us).min().filter(|_| polled);
        let quota = report.and_then(|report| fullest(&report.quotas));
        let detail = status.and_then(|status| status.detail.as_deref()).unwrap_or_default();
        [
            self.provider.name.clone(),
            self.provider.category.as_str().to_owned(),
            self.provider.endpoints.len().to_string(),
            state,
            last.map(|last| ago(now_us, last)).unwrap_or_default(),
            next.map(|next| ago(next, now_us)).unwrap_or_default(),
            on_time(endpoints),
            quota.map(|quota| used(quota, now_us)).unwrap_or_default(),
            report.map(|report| past(&report.histories)).unwrap_or_default(),
            shortened(detail),
        ]
    }
}

/// The window of which the largest part is used.
fn fullest(quotas: &[QuotaReport]) -> Option<&QuotaReport> {
    let share = |quota: &&QuotaReport| quota.used * 10_000 / u64::from(quota.limit.max(1));
    quotas.iter().filter(|quota| quota.used > 0).max_by_key(share)
}

fn used(quota: &QuotaReport, now_us: i64) -> String {
    let percent = quota.used * 100 / u64::from(quota.limit.max(1));
    let reset = match quota.resets_at_us {
        Some(at_us) => format!(", again in {}", ago(at_us, now_us)),
        None => String::new(),
    };
    format!("{percent} % of {} a {}{reset}", thousands(quota.limit.into()), quota.window)
}

/// How much of the wanted past is there, and of how many days that is.
fn past(histories: &[HistoryReport]) -> String {
    let wanted: i64 = histories.iter().map(|history| history.wanted_seconds).sum();
    let covered: i64 = histories.iter().map(|history| history.covered_seconds).sum();
    let longest = histories.iter().map(|history| history.wanted_seconds).max();
    let days = longest.unwrap_or_default() / 86_400;
    let percent = (covered * 100).checked_div(wanted);
    percent.map(|percent| format!("{percent} % of {days} d")).unwrap_or_default()
}

/// Share of the remembered slots that were done on time.
fn on_time(endpoints: &[EndpointReport]) -> String {
    let slots: usize = endpoints.iter().map(|endpoint| endpoint.slots).sum();
    let good: usize = endpoints.iter().map(|endpoint| endpoint.on_time).sum();
    (good * 100).checked_div(slots).map(|percent| format!("{percent} %")).unwrap_or_default()
}

fn text_of(listed: &[Listed], hidden: usize) -> String {
    let heading = [
        "provider",
        "category",
        "endpoints",
        "state",
        "last",
        "next in",
        "on time",
        "quota used",
        "past",
        "why",
    ];
    let now_us = now_us();
    let mut text = table(&heading, listed.iter().map(|one| one.row(now_us)));
    if hidden > 0 {
        text.push_str(&format!(
            "\n{hidden} more are switched off or lack their key: --all shows them"
        ));
    }
    text
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
