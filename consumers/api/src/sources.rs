use std::{sync::Arc, time::Duration};

use crypto_intel_nats::Nats;
use crypto_intel_poll::{
    Config, FactReport, KnownProviders, ProviderReport, ProviderSummary, fact_reports,
    fresh_seconds,
};

use crate::{memo::Memo, parameters::values::Name};

/// How old the files of providers may be that are answered from memory: their filters are compiled whenever they are read.
const FILES_FRESH: Duration = Duration::from_secs(60);
/// How old their states may be: a question to the broker for each provider.
const REPORTS_FRESH: Duration = Duration::from_secs(2);
/// How old prices and facts may be.
const FACTS_FRESH: Duration = Duration::from_secs(5);

/// Providers, and how they are.
pub(crate) type Reports = Vec<(ProviderSummary, ProviderReport)>;

/// What is known of polled providers: their files, and what their pollers keep. Keys of theirs are not needed.
#[derive(Debug)]
pub(crate) struct Sources {
    config: Config,
    known: Memo<(), KnownProviders>,
    reports: Memo<(), Reports>,
    facts: Memo<(), Vec<(FactReport, u32)>>,
}

/// Those that are polled; of one provider alone where it is named.
pub(crate) fn polled<'r>(
    reports: &'r Reports,
    provider: Option<&'r Name>,
) -> impl Iterator<Item = (&'r ProviderSummary, &'r ProviderReport)> {
    let is_meant = move |(summary, _): &&(ProviderSummary, ProviderReport)| {
        summary.enabled && provider.is_none_or(|one| one.0 == summary.name)
    };
    reports.iter().filter(is_meant).map(|(summary, report)| (summary, report))
}

impl Sources {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            known: Memo::new(FILES_FRESH),
            reports: Memo::new(REPORTS_FRESH),
            facts: Memo::new(FACTS_FRESH),
        }
    }

    async fn known(&self) -> anyhow::Result<Arc<KnownProviders>> {
        let load = || async {
            let config = self.config.clone();
            // Compiling would block the runtime.
            Ok(tokio::task::spawn_blocking(move || KnownProviders::load(&config)).await??)
        };
        self.known.get((), load).await
    }

    /// How all providers are, polled or not, by name.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) async fn reports(&self, nats: &Nats) -> anyhow::Result<Arc<Reports>> {
        let known = self.known().await?;
        self.reports.get((), || known.reports(nats)).await
    }

    /// What lists of providers lack.
    ///
    /// # Errors
    /// When the registry of assets cannot be used.
    pub(crate) async fn warnings(&self) -> anyhow::Result<Vec<String>> {
        let wrong = self.known().await?.wrong().len();
        let text = format!(
            "{wrong} files or settings of providers are wrong: `crypto-intel providers test` says what"
        );
        Ok(if wrong > 0 { vec![text] } else { Vec::new() })
    }

    /// What providers say of prices, indices and metrics, each with the age in seconds from which on it is stale.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub(crate) async fn facts(&self, nats: &Nats) -> anyhow::Result<Arc<Vec<(FactReport, u32)>>> {
        let read = || async {
            let reports = fact_reports(nats, None, None).await?.into_iter();
            let limited = |report: FactReport| {
                let limit = fresh_seconds(&self.config, &report.fact);
                (report, limit)
            };
            anyhow::Ok(reports.map(limited).collect())
        };
        self.facts.get((), read).await
    }
}
