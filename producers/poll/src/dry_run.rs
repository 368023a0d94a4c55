use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;

use crate::{
    catalogue::{Endpoint, Provider, find_provider, read_provider},
    config::{Config, ProviderSettings},
    fetch::{Answer, Ask, FetchError, Fetcher, Interpreted, Pages, interpret},
    polling::schedule::Schedule,
};

/// One request that was made without publishing its events.
#[derive(Debug)]
pub struct DryRun {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Time until the answer was read, or the failure.
    pub elapsed: Duration,
    /// The answer, or why there is none.
    pub outcome: Result<DryRunAnswer, FetchError>,
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

/// A provider file that is tried on recorded answers.
#[derive(Debug)]
pub struct Trial {
    provider: Provider,
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

    /// Reads an answer as if this endpoint had given it now.
    ///
    /// # Errors
    /// When there is no such endpoint. What is wrong with the answer is in the result.
    pub fn read(
        &self,
        endpoint: &str,
        body: Vec<u8>,
    ) -> anyhow::Result<Result<DryRunAnswer, FetchError>> {
        let endpoints = &self.provider.endpoints;
        let endpoint =
            endpoints.iter().find(|known| known.name == endpoint).with_context(|| {
                let known: Vec<&str> = endpoints.iter().map(|known| known.name.as_str()).collect();
                format!("there is no endpoint {endpoint}; there are {}", known.join(", "))
            })?;
        let answer = Answer::recorded(body);
        let slot_us = Schedule::new(endpoint.every, &endpoint.label()).slot_at(now_us());
        Ok(interpret(&self.provider, endpoint, &answer, slot_us).map(DryRunAnswer::from))
    }
}

/// Requests every endpoint of a provider that its settings do not switch off, or only the named one, once, and publishes
/// nothing. The provider itself may be off.
///
/// # Errors
/// When there is no such provider or endpoint, or it cannot be used. Failures of the provider are in the result.
pub async fn dry_run(
    config: &Config,
    name: &str,
    endpoint: Option<&str>,
) -> anyhow::Result<Vec<DryRun>> {
    let provider = find_provider(config, name).context("load provider")?;
    let is_asked = |known: &Endpoint| endpoint.map_or(known.enabled, |asked| asked == known.name);
    if endpoint.is_some() && !provider.endpoints.iter().any(|known| is_asked(known)) {
        let known: Vec<&str> = provider.endpoints.iter().map(|known| known.name.as_str()).collect();
        anyhow::bail!(
            "provider {name} has no endpoint {:?}; there are {}",
            endpoint.unwrap_or_default(),
            known.join(", ")
        );
    }
    let fetcher = Fetcher::new(config)?;
    let mut runs = Vec::new();
    for endpoint in provider.endpoints.iter().filter(|known| is_asked(known)) {
        let started = Instant::now();
        let slot_us = Schedule::new(endpoint.every, &endpoint.label()).slot_at(now_us());
        let outcome = try_pages(&fetcher, &provider, endpoint, slot_us).await;
        runs.push(DryRun {
            endpoint: endpoint.name.clone(),
            elapsed: started.elapsed(),
            outcome: outcome.map(DryRunAnswer::from),
        });
    }
    Ok(runs)
}

async fn try_pages(
    fetcher: &Fetcher,
    provider: &Provider,
    endpoint: &Endpoint,
    slot_us: i64,
) -> Result<Interpreted, FetchError> {
    let mut pages = Pages::of(endpoint);
    while let Some(page) = pages.next() {
        let ask = Ask { key: provider.key(0), page: &page, known: None };
        let answer = fetcher.fetch(provider, endpoint, ask).await;
        pages.add(answer.and_then(|answer| interpret(provider, endpoint, &answer, slot_us)))?;
    }
    Ok(pages.finish())
}
