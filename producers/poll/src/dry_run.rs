use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;
use futures::{StreamExt as _, stream};

use crate::{
    catalogue::{Catalogue, Endpoint, Provider, Which, find_provider, read_provider},
    clock::Clock,
    config::{Config, ProviderSettings},
    fetch::{Answer, Ask, FetchError, Fetcher, Interpreted, Pages, interpret},
    polling::schedule::Schedule,
    quota::pace::Pace,
};

/// Providers that are tried at once.
const TRIED_AT_ONCE: usize = 16;

/// One request that was made without publishing its events.
#[derive(Debug)]
pub struct DryRun {
    /// Name of the provider.
    pub provider: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// Time until the answer was read, or the failure.
    pub elapsed: Duration,
    /// The answer, or why there is none.
    pub outcome: Result<DryRunAnswer, FetchError>,
}

impl DryRun {
    fn new(
        provider: &Provider,
        endpoint: &Endpoint,
        started: Instant,
        outcome: Result<Interpreted, FetchError>,
    ) -> Self {
        Self::of(&provider.name, &endpoint.name, started, outcome)
    }

    pub(crate) fn of(
        provider: &str,
        endpoint: &str,
        started: Instant,
        outcome: Result<Interpreted, FetchError>,
    ) -> Self {
        Self {
            provider: provider.to_owned(),
            endpoint: endpoint.to_owned(),
            elapsed: started.elapsed(),
            outcome: outcome.map(DryRunAnswer::from),
        }
    }
}

/// Its answer.
#[derive(Debug)]
pub struct DryRunAnswer {
    /// What would have been published.
    pub events: Vec<Event>,
    /// What is wrong with parts of the answer.
    pub problems: Vec<String>,
    /// What was requested and is not in the answer, such as `bitcoin/usd`.
    pub missing: Vec<String>,
}

impl From<Interpreted> for DryRunAnswer {
    fn from(interpreted: Interpreted) -> Self {
        let Interpreted { events, problems, missing, .. } = interpreted;
        Self { events, problems, missing }
    }
}

/// A provider that is tried on recorded answers.
#[derive(Debug)]
pub struct Trial {
    pub(crate) provider: Provider,
}

impl Trial {
    /// Reads a provider file; `parameters` replace those of the file.
    ///
    /// # Errors
    /// When the file or the parameters are wrong.
    pub fn new(
        origin: &str,
        text: &str,
        parameters: BTreeMap<String, serde_json::Value>,
    ) -> anyhow::Result<Self> {
        let settings = ProviderSettings { parameters, ..ProviderSettings::default() };
        Ok(Self { provider: read_provider(origin, text, &settings)? })
    }

    /// Takes a provider of the configuration, enabled or not.
    ///
    /// # Errors
    /// When there is no such provider or it cannot be used.
    pub fn of(config: &Config, name: &str) -> anyhow::Result<Self> {
        Ok(Self { provider: find_provider(config, name).context("load provider")? })
    }

    /// Reads an answer as if this endpoint had given it now.
    ///
    /// # Errors
    /// When there is no such endpoint. What is wrong with the answer is in the result.
    pub fn read(&self, endpoint: &str, body: Vec<u8>) -> anyhow::Result<DryRun> {
        let (started, endpoint) = (Instant::now(), endpoint_of(&self.provider, endpoint)?);
        let answer = Answer::recorded(body);
        let outcome = interpret(&self.provider, endpoint, &answer, slot_of(endpoint));
        Ok(DryRun::new(&self.provider, endpoint, started, outcome))
    }
}

/// Requests every endpoint of a provider that its settings do not switch off, or only the named one, once, paced by its
/// quota, and publishes nothing. The provider itself may be off.
///
/// # Errors
/// When there is no such provider or endpoint, or it cannot be used. Failures of the provider are in the result.
pub async fn dry_run(
    config: &Config,
    name: &str,
    endpoint: Option<&str>,
) -> anyhow::Result<Vec<DryRun>> {
    let provider = find_provider(config, name).context("load provider")?;
    let asked = asked_endpoints(&provider, endpoint)?;
    let fetcher = Fetcher::new(config)?;
    let mut pace = Pace::new(provider.limits, Clock::default());
    let mut runs = Vec::new();
    for endpoint in asked {
        runs.push(run_of(&fetcher, &provider, endpoint, &mut pace).await);
    }
    Ok(runs)
}

/// Requests one endpoint of each provider that is polled, and publishes nothing: whether it can be reached, and admits
/// us. All endpoints at once would be more than some quotas allow.
///
/// # Errors
/// When a provider file or a setting cannot be used. Failures of providers are in the result.
pub async fn dry_run_polled(config: &Config) -> anyhow::Result<Vec<DryRun>> {
    let loaded = Catalogue::load_right(config, Which::All)?;
    let fetcher = Fetcher::new(config)?;
    let firsts = loaded.iter().filter(|loaded| loaded.enabled).filter_map(|loaded| {
        let first = loaded.provider.endpoints.iter().find(|endpoint| endpoint.enabled)?;
        let (fetcher, provider) = (&fetcher, &loaded.provider);
        Some(async move {
            let mut pace = Pace::new(provider.limits, Clock::default());
            run_of(fetcher, provider, first, &mut pace).await
        })
    });
    Ok(stream::iter(firsts).buffered(TRIED_AT_ONCE).collect().await)
}

/// The named endpoint of a provider, or every one that its settings do not switch off.
///
/// # Errors
/// When there is no such endpoint.
pub(crate) fn asked_endpoints<'a>(
    provider: &'a Provider,
    endpoint: Option<&str>,
) -> anyhow::Result<Vec<&'a Endpoint>> {
    Ok(match endpoint {
        Some(name) => vec![endpoint_of(provider, name)?],
        None => provider.endpoints.iter().map(Arc::as_ref).filter(|one| one.enabled).collect(),
    })
}

/// Requests one endpoint, and publishes nothing.
pub(crate) async fn run_of(
    fetcher: &Fetcher,
    provider: &Provider,
    endpoint: &Endpoint,
    pace: &mut Pace,
) -> DryRun {
    pace.wait(endpoint.weight.get()).await;
    let started = Instant::now();
    let outcome = try_pages(fetcher, provider, endpoint, pace).await;
    DryRun::new(provider, endpoint, started, outcome)
}

fn endpoint_of<'a>(provider: &'a Provider, name: &str) -> anyhow::Result<&'a Endpoint> {
    let endpoints = &provider.endpoints;
    let found = endpoints.iter().find(|known| known.name == name).map(Arc::as_ref);
    found.with_context(|| {
        let known: Vec<&str> = endpoints.iter().map(|known| known.name.as_str()).collect();
        format!(
            "provider {} has no endpoint {name:?}; there are {}",
            provider.name,
            known.join(", ")
        )
    })
}

/// The slot of an endpoint that is now.
fn slot_of(endpoint: &Endpoint) -> i64 {
    Schedule::new(endpoint.every, &endpoint.label()).slot_at(now_us())
}

async fn try_pages(
    fetcher: &Fetcher,
    provider: &Provider,
    endpoint: &Endpoint,
    pace: &mut Pace,
) -> Result<Interpreted, FetchError> {
    let slot_us = slot_of(endpoint);
    let mut pages = Pages::of(endpoint);
    while let Some(page) = pages.next() {
        if !page.is_empty() {
            pace.wait(endpoint.weight.get()).await;
        }
        let ask = Ask { key: provider.key(0), page: &page, known: None };
        let answer = fetcher.fetch(provider, endpoint, ask).await;
        pages.add(answer.and_then(|answer| interpret(provider, endpoint, &answer, slot_us)))?;
    }
    Ok(pages.finish())
}
