use std::time::{Duration, Instant};

use anyhow::Context as _;
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;

use crate::{
    catalogue::find_provider,
    config::Config,
    fetch::{FetchError, Fetcher, interpret},
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

/// Requests every endpoint of a provider once, enabled or not, or only the named one, and publishes nothing.
///
/// # Errors
/// When there is no such provider or endpoint, or it cannot be used. Failures of the provider are in the result.
pub async fn dry_run(
    config: &Config,
    name: &str,
    endpoint: Option<&str>,
) -> anyhow::Result<Vec<DryRun>> {
    let provider = find_provider(config, name).context("load provider")?;
    let is_asked = |name: &str| endpoint.is_none_or(|asked| asked == name);
    if !provider.endpoints.iter().any(|endpoint| is_asked(&endpoint.name)) {
        let known: Vec<&str> = provider.endpoints.iter().map(|known| known.name.as_str()).collect();
        anyhow::bail!(
            "provider {name} has no endpoint {:?}; there are {}",
            endpoint.unwrap_or_default(),
            known.join(", ")
        );
    }
    let fetcher = Fetcher::new(&config.user_agent)?;
    let mut runs = Vec::new();
    for endpoint in provider.endpoints.iter().filter(|known| is_asked(&known.name)) {
        let started = Instant::now();
        let slot_us = Schedule::new(endpoint.every, &endpoint.label()).slot_at(now_us());
        let outcome = match fetcher.fetch(&provider, endpoint).await {
            Ok(answer) => interpret(&provider, endpoint, &answer, slot_us),
            Err(error) => Err(error),
        };
        runs.push(DryRun {
            endpoint: endpoint.name.clone(),
            elapsed: started.elapsed(),
            outcome: outcome.map(|interpreted| DryRunAnswer {
                events: interpreted.events,
                problems: interpreted.problems,
                missing: interpreted.missing,
            }),
        });
    }
    Ok(runs)
}
