//! Whether every polled fact is fresh: one failing endpoint is no reason for an alarm, a fact that no endpoint provides
//! is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crypto_intel_service::Probe;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::catalogue::Endpoint;

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Names in a probe's text.
const MAX_NAMED: usize = 5;

/// All endpoints that this instance polls, and when each last gave a valid answer.
#[derive(Debug, Clone)]
pub(crate) struct Freshness {
    endpoints: Arc<Mutex<BTreeMap<String, State>>>,
}

#[derive(Debug)]
struct State {
    /// What it is expected to provide: `price of bitcoin`, whatever the quote.
    facts: BTreeSet<String>,
    stale_after: Duration,
    fresh_at: Option<Instant>,
    failure: Option<String>,
}

/// The entry of one endpoint, removed when dropped.
#[derive(Debug)]
pub(crate) struct EndpointFreshness {
    all: Freshness,
    label: String,
}

impl Freshness {
    pub(crate) fn new() -> Self {
        Self { endpoints: Arc::default() }
    }

    /// An endpoint is polled from now on.
    pub(crate) fn join(&self, endpoint: &Endpoint) -> EndpointFreshness {
        let facts = endpoint.expected.iter().map(|key| {
            let subject = key.split('/').next().unwrap_or(key);
            format!("{} of {subject}", endpoint.kind)
        });
        self.add(&endpoint.label(), facts.collect(), endpoint.stale_after)
    }

    fn add(
        &self,
        label: &str,
        facts: BTreeSet<String>,
        stale_after: Duration,
    ) -> EndpointFreshness {
        let state = State { facts, stale_after, fresh_at: None, failure: None };
        self.lock().insert(label.to_owned(), state);
        EndpointFreshness { all: self.clone(), label: label.to_owned() }
    }

    /// Updates a probe; never ends.
    pub(crate) async fn watch(&self, probe: Probe) {
        loop {
            match self.judge() {
                Ok(detail) => probe.healthy(detail),
                Err(reason) => probe.unhealthy(reason),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Unhealthy when a fact has no fresh endpoint, or more than half of the endpoints fail.
    fn judge(&self) -> Result<String, String> {
        let endpoints = self.lock();
        let failing: Vec<(&String, &State)> =
            endpoints.iter().filter(|(_, state)| !state.is_fresh()).collect();
        let known: BTreeSet<&String> = endpoints
            .values()
            .filter(|state| state.is_fresh())
            .flat_map(|state| &state.facts)
            .collect();
        let unknown: Vec<&str> = endpoints
            .values()
            .flat_map(|state| &state.facts)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|fact| !known.contains(fact))
            .map(String::as_str)
            .collect();
        let count = endpoints.len();
        let why = || {
            let reasons = failing.iter().map(|(label, state)| {
                let reason = state.failure.as_deref().unwrap_or("no valid answer yet");
                format!("{label}: {reason}")
            });
            shortened(reasons)
        };
        if !unknown.is_empty() {
            let facts = shortened(unknown.into_iter().map(str::to_owned));
            return Err(format!("no endpoint is fresh for {facts} ({})", why()));
        }
        if failing.len() * 2 > count {
            return Err(format!("{} of {count} endpoints fail: {}", failing.len(), why()));
        }
        Ok(match failing.len() {
            0 => format!("{count} endpoints are fresh"),
            failed => {
                format!("{failed} of {count} endpoints fail, others provide their facts: {}", why())
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.endpoints.lock()
    }
}

impl State {
    fn is_fresh(&self) -> bool {
        self.failure.is_none() && self.fresh_at.is_some_and(|at| at.elapsed() <= self.stale_after)
    }
}

impl EndpointFreshness {
    /// A valid answer arrived.
    pub(crate) fn fresh(&self) {
        if let Some(state) = self.all.lock().get_mut(&self.label) {
            state.fresh_at = Some(Instant::now());
            state.failure = None;
        }
    }

    /// It fails, and its last valid answer is too old.
    pub(crate) fn failed(&self, reason: &str) {
        if let Some(state) = self.all.lock().get_mut(&self.label) {
            state.failure = Some(reason.to_owned());
        }
    }
}

impl Drop for EndpointFreshness {
    fn drop(&mut self) {
        self.all.lock().remove(&self.label);
    }
}

fn shortened(texts: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = texts.collect();
    let mut text = all.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > MAX_NAMED {
        text.push_str(&format!(" and {} more", all.len() - MAX_NAMED));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn add(all: &Freshness, label: &str, facts: &[&str]) -> EndpointFreshness {
        all.add(label, facts.iter().map(|fact| (*fact).to_owned()).collect(), LONG)
    }

    #[tokio::test(start_paused = true)]
    async fn one_failing_endpoint_is_healthy_while_others_provide_its_facts() {
        let all = Freshness::new();
        let one = add(&all, "a.prices", &["price of bitcoin"]);
        let two = add(&all, "b.prices", &["price of bitcoin"]);
        assert!(all.judge().unwrap_err().contains("no endpoint is fresh for price of bitcoin"));
        one.fresh();
        two.fresh();
        assert_eq!(all.judge().unwrap(), "2 endpoints are fresh");
        two.failed("status 503");
        assert!(all.judge().unwrap().contains("b.prices: status 503"));
        one.failed("status 503");
        assert!(all.judge().is_err());
        one.fresh();
        assert!(all.judge().is_ok());
        tokio::time::advance(LONG + Duration::from_secs(1)).await;
        assert!(all.judge().is_err(), "an answer that is too old is not fresh");
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_half_is_unhealthy_and_endpoints_of_other_instances_do_not_count() {
        let all = Freshness::new();
        let endpoints: Vec<EndpointFreshness> =
            ["a", "b", "c"].iter().map(|label| add(&all, label, &[])).collect();
        endpoints.iter().for_each(EndpointFreshness::fresh);
        endpoints[0].failed("x");
        assert!(all.judge().is_ok());
        endpoints[1].failed("x");
        assert!(all.judge().unwrap_err().contains("2 of 3 endpoints fail"));
        drop(endpoints);
        assert!(all.judge().is_ok(), "another instance polls them");
    }
}
