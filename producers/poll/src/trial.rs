use std::time::{Duration, Instant};

use anyhow::Context as _;
use crypto_intel_schemas::Event;
use crypto_intel_service::now_us;

use crate::{
    Config,
    catalogue::find_provider,
    fetch::{FetchError, Fetcher, interpret},
    schedule::Schedule,
};

/// What one endpoint gave when it was tried.
#[derive(Debug)]
pub struct Trial {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Time until the answer was read, or the failure.
    pub elapsed: Duration,
    /// The answer, or why there is none.
    pub outcome: Result<TrialAnswer, FetchError>,
}

/// An answer that was not published.
#[derive(Debug)]
pub struct TrialAnswer {
    /// What would have been published.
    pub events: Vec<Event>,
    /// What is wrong with parts of the answer.
    pub problems: Vec<String>,
    /// What was asked for and is not in the answer, such as `bitcoin/usd`.
    pub missing: Vec<String>,
}

/// Asks every endpoint of a source once, enabled or not, and publishes nothing.
///
/// # Errors
/// When there is no such source or it cannot be used; what the provider does wrong is in the
/// trials.
pub async fn try_provider(config: &Config, name: &str) -> anyhow::Result<Vec<Trial>> {
    let provider = find_provider(config, name).context("load source")?;
    let fetcher = Fetcher::new(&config.user_agent)?;
    let mut trials = Vec::new();
    for endpoint in &provider.endpoints {
        let started = Instant::now();
        let slot_us = Schedule::new(endpoint.every, &endpoint.label()).slot_at(now_us());
        let outcome = match fetcher.fetch(&provider, endpoint).await {
            Ok(answer) => interpret(&provider, endpoint, &answer, slot_us),
            Err(error) => Err(error),
        };
        trials.push(Trial {
            endpoint: endpoint.name.clone(),
            elapsed: started.elapsed(),
            outcome: outcome.map(|interpreted| TrialAnswer {
                events: interpreted.events,
                problems: interpreted.problems,
                missing: interpreted.missing,
            }),
        });
    }
    Ok(trials)
}
