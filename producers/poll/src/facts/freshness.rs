//! Whether every fact that someone uses is fresh: one failing endpoint is no reason for an alarm, a fact that no endpoint
//! provides is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crypto_intel_nats::Nats;
use crypto_intel_service::Probe;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::{elsewhere::last_slot_age, fact, fact_metrics::FactMetrics, stale::Standing};
use crate::{
    catalogue::{Endpoint, Provider},
    config::PriceSettings,
};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often the progress of endpoints that other instances poll is read.
const ELSEWHERE_INTERVAL: Duration = Duration::from_secs(10);
/// Names in a probe's text.
const MAX_NAMED: usize = 5;

/// All enabled endpoints, and when each last gave a valid answer.
#[derive(Debug, Clone)]
pub(crate) struct Freshness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    used: BTreeSet<String>,
    prices: PriceSettings,
    metrics: FactMetrics,
    endpoints: Mutex<BTreeMap<String, State>>,
}

#[derive(Debug)]
struct State {
    provider: String,
    /// What it is expected to provide, such as `price of bitcoin/usd`.
    facts: BTreeSet<String>,
    stale_after: Duration,
    is_polled_here: bool,
    fresh_at: Option<Instant>,
    failure: Option<String>,
}

/// An endpoint that this instance polls, until this is dropped.
#[derive(Debug)]
pub(crate) struct EndpointFreshness {
    all: Freshness,
    label: String,
}

impl Freshness {
    /// `used` are the facts that have to be known.
    pub(crate) fn new(used: BTreeSet<String>, prices: PriceSettings, metrics: FactMetrics) -> Self {
        let endpoints = Mutex::default();
        Self { shared: Arc::new(Shared { used, prices, metrics, endpoints }) }
    }

    /// The endpoints of a provider are polled by this instance or another one.
    pub(crate) fn expect(&self, provider: &Provider) {
        for endpoint in provider.endpoints.iter().filter(|endpoint| endpoint.enabled) {
            self.lock().entry(endpoint.label()).or_insert_with(|| self.state_of(endpoint));
        }
    }

    /// A provider is not polled any more, here or elsewhere.
    pub(crate) fn forget(&self, provider: &Provider) {
        for endpoint in &provider.endpoints {
            self.lock().remove(&endpoint.label());
        }
    }

    fn state_of(&self, endpoint: &Endpoint) -> State {
        let quotes = &self.shared.prices.dollar_quotes;
        let facts = endpoint.expected.iter().map(|key| fact::name(endpoint.kind, key, quotes));
        State::new(&endpoint.provider, facts.collect(), endpoint.stale_after)
    }

    /// This instance polls an endpoint from now on.
    pub(crate) fn join(&self, endpoint: &Endpoint) -> EndpointFreshness {
        self.poll_here(&endpoint.label(), self.state_of(endpoint))
    }

    fn poll_here(&self, label: &str, state: State) -> EndpointFreshness {
        self.lock().insert(label.to_owned(), State { is_polled_here: true, ..state });
        EndpointFreshness { all: self.clone(), label: label.to_owned() }
    }

    /// Updates a probe and the metrics; never ends.
    pub(crate) async fn watch(&self, probe: Probe, nats: &Nats) {
        let mut looked = None::<Instant>;
        loop {
            if looked.is_none_or(|at| at.elapsed() >= ELSEWHERE_INTERVAL) {
                looked = Some(Instant::now());
                self.look_elsewhere(nats).await;
            }
            self.measure();
            match self.judge() {
                Ok(detail) => probe.healthy(detail),
                Err(reason) => probe.unhealthy(reason),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Reads how far other instances are with the endpoints that give used facts.
    async fn look_elsewhere(&self, nats: &Nats) {
        let labels: Vec<String> = self
            .lock()
            .iter()
            .filter(|(_, state)| !state.is_polled_here)
            .filter(|(_, state)| state.facts.iter().any(|fact| self.shared.used.contains(fact)))
            .map(|(label, _)| label.clone())
            .collect();
        for label in labels {
            let Some(age) = last_slot_age(nats, &label).await else { continue };
            let fresh_at = Instant::now().checked_sub(age);
            if let Some(state) = self.lock().get_mut(&label).filter(|state| !state.is_polled_here) {
                state.fresh_at = fresh_at;
            }
        }
    }

    /// Unhealthy when a used fact has no fresh endpoint, or more than half of the endpoints of this instance fail.
    fn judge(&self) -> Result<String, String> {
        let endpoints = self.lock();
        let here = || endpoints.iter().filter(|(_, state)| state.is_polled_here);
        let failing: Vec<(&String, &State)> =
            here().filter(|(_, state)| !state.is_fresh()).collect();
        let known: BTreeSet<&String> = endpoints
            .values()
            .filter(|state| state.is_fresh())
            .flat_map(|state| &state.facts)
            .collect();
        let unknown: Vec<&String> =
            self.shared.used.iter().filter(|fact| !known.contains(fact)).collect();
        let count = here().count();
        let why = || {
            let reasons = failing.iter().map(|(label, state)| {
                let reason = state.failure.as_deref().unwrap_or("no valid answer yet");
                format!("{label}: {reason}")
            });
            shortened(reasons)
        };
        if !unknown.is_empty() {
            let facts = shortened(unknown.into_iter().cloned());
            // Of those that are polled here, all that give them would be among the failing ones.
            let why = if failing.is_empty() {
                "no endpoint that is polled here gives them".to_owned()
            } else {
                why()
            };
            return Err(format!("no endpoint is fresh for {facts} ({why})"));
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

    /// Sets the metrics of the used facts.
    fn measure(&self) {
        let endpoints = self.lock();
        let Shared { used, metrics, .. } = &*self.shared;
        for fact in used {
            let givers = || endpoints.values().filter(|state| state.facts.contains(fact));
            let fresh = givers().filter(|state| state.is_fresh()).count();
            metrics.fresh.with_label_values(&[fact]).set(i64::try_from(fresh).unwrap_or(i64::MAX));
            if let Some(newest) = givers().filter_map(|state| state.fresh_at).max() {
                let age = i64::try_from(newest.elapsed().as_secs()).unwrap_or(i64::MAX);
                metrics.age.with_label_values(&[fact]).set(age);
            }
        }
    }

    /// The facts that someone uses.
    pub(super) fn used(&self) -> &BTreeSet<String> {
        &self.shared.used
    }

    pub(super) fn is_used(&self, fact: &str) -> bool {
        self.shared.used.contains(fact)
    }

    /// Those of these facts that more than one provider is expected to give, or that someone uses.
    pub(super) fn compared(&self, facts: &BTreeSet<String>) -> BTreeSet<String> {
        let endpoints = self.lock();
        let is_compared = |fact: &&String| {
            let mut givers = endpoints.values().filter(|state| state.facts.contains(*fact));
            let first = givers.next().map(|state| state.provider.as_str());
            self.is_used(fact) || givers.any(|state| Some(state.provider.as_str()) != first)
        };
        facts.iter().filter(is_compared).cloned().collect()
    }

    /// How the used facts stand. One that no endpoint has given yet is stale when the quickest of them has had its time
    /// since `watching_since`.
    pub(super) fn standings(&self, watching_since: Instant) -> BTreeMap<String, Standing> {
        let endpoints = self.lock();
        let mut standings = BTreeMap::new();
        for fact in &self.shared.used {
            let givers: Vec<(&String, &State)> =
                endpoints.iter().filter(|(_, state)| state.facts.contains(fact)).collect();
            if givers.iter().any(|(_, state)| state.is_fresh()) {
                standings.insert(fact.clone(), Standing::Fresh);
                continue;
            }
            let patience = givers.iter().map(|(_, state)| state.stale_after).min();
            if patience.is_some_and(|patience| watching_since.elapsed() < patience) {
                continue;
            }
            let reasons = givers.iter().map(|(label, state)| {
                let reason = state.failure.as_deref().unwrap_or("no valid answer in time");
                format!("{label}: {reason}")
            });
            standings.insert(fact.clone(), Standing::Stale(shortened(reasons)));
        }
        standings
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.shared.endpoints.lock()
    }
}

impl State {
    fn new(provider: &str, facts: BTreeSet<String>, stale_after: Duration) -> Self {
        Self {
            provider: provider.to_owned(),
            facts,
            stale_after,
            is_polled_here: false,
            fresh_at: None,
            failure: None,
        }
    }

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
        if let Some(state) = self.all.lock().get_mut(&self.label) {
            state.is_polled_here = false;
            state.failure = None;
        }
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
mod tests;
