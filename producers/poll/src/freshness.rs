//! Whether what is polled is known of late: one source that fails is no reason to alarm anybody, a fact that no source
//! gives is.

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

/// All endpoints that this instance polls, and when each last gave a good answer.
#[derive(Debug, Clone)]
pub(crate) struct Freshness {
    sources: Arc<Mutex<BTreeMap<String, Source>>>,
}

#[derive(Debug)]
struct Source {
    /// What it is asked for: `price of bitcoin`, whatever the quote.
    facts: BTreeSet<String>,
    stale_after: Duration,
    fresh_at: Option<Instant>,
    failure: Option<String>,
}

/// One endpoint's part; leaves when dropped.
#[derive(Debug)]
pub(crate) struct SourceFreshness {
    all: Freshness,
    label: String,
}

impl Freshness {
    pub(crate) fn new() -> Self {
        Self { sources: Arc::default() }
    }

    /// An endpoint is polled from now on.
    pub(crate) fn join(&self, endpoint: &Endpoint) -> SourceFreshness {
        let facts = endpoint.expected.iter().map(|key| {
            let subject = key.split('/').next().unwrap_or(key);
            format!("{} of {subject}", endpoint.kind)
        });
        self.add(&endpoint.label(), facts.collect(), endpoint.stale_after)
    }

    fn add(&self, label: &str, facts: BTreeSet<String>, stale_after: Duration) -> SourceFreshness {
        let source = Source { facts, stale_after, fresh_at: None, failure: None };
        self.lock().insert(label.to_owned(), source);
        SourceFreshness { all: self.clone(), label: label.to_owned() }
    }

    /// Keeps a probe; never ends.
    pub(crate) async fn watch(&self, probe: Probe) {
        loop {
            match self.judge() {
                Ok(detail) => probe.healthy(detail),
                Err(reason) => probe.unhealthy(reason),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Unhealthy when a fact has no fresh source, or more than half of the sources fail.
    fn judge(&self) -> Result<String, String> {
        let sources = self.lock();
        let failing: Vec<(&String, &Source)> =
            sources.iter().filter(|(_, source)| !source.is_fresh()).collect();
        let known: BTreeSet<&String> = sources
            .values()
            .filter(|source| source.is_fresh())
            .flat_map(|source| &source.facts)
            .collect();
        let unknown: Vec<&str> = sources
            .values()
            .flat_map(|source| &source.facts)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter(|fact| !known.contains(fact))
            .map(String::as_str)
            .collect();
        let count = sources.len();
        let why = || {
            let reasons = failing.iter().map(|(label, source)| {
                let reason = source.failure.as_deref().unwrap_or("no good answer yet");
                format!("{label}: {reason}")
            });
            shortened(reasons)
        };
        if !unknown.is_empty() {
            let facts = shortened(unknown.into_iter().map(str::to_owned));
            return Err(format!("no source is fresh for {facts} ({})", why()));
        }
        if failing.len() * 2 > count {
            return Err(format!("{} of {count} sources fail: {}", failing.len(), why()));
        }
        Ok(match failing.len() {
            0 => format!("{count} sources are fresh"),
            failed => {
                format!("{failed} of {count} sources fail, others have what they give: {}", why())
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.sources.lock()
    }
}

impl Source {
    fn is_fresh(&self) -> bool {
        self.failure.is_none() && self.fresh_at.is_some_and(|at| at.elapsed() <= self.stale_after)
    }
}

impl SourceFreshness {
    /// A good answer came.
    pub(crate) fn fresh(&self) {
        if let Some(source) = self.all.lock().get_mut(&self.label) {
            source.fresh_at = Some(Instant::now());
            source.failure = None;
        }
    }

    /// It fails, and its last good answer is too old.
    pub(crate) fn failed(&self, reason: &str) {
        if let Some(source) = self.all.lock().get_mut(&self.label) {
            source.failure = Some(reason.to_owned());
        }
    }
}

impl Drop for SourceFreshness {
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

    fn add(all: &Freshness, label: &str, facts: &[&str]) -> SourceFreshness {
        all.add(label, facts.iter().map(|fact| (*fact).to_owned()).collect(), LONG)
    }

    #[tokio::test(start_paused = true)]
    async fn one_source_that_fails_alarms_nobody_while_others_have_its_facts() {
        let all = Freshness::new();
        let one = add(&all, "a.prices", &["price of bitcoin"]);
        let two = add(&all, "b.prices", &["price of bitcoin"]);
        assert!(all.judge().unwrap_err().contains("no source is fresh for price of bitcoin"));
        one.fresh();
        two.fresh();
        assert_eq!(all.judge().unwrap(), "2 sources are fresh");
        two.failed("status 503");
        assert!(all.judge().unwrap().contains("b.prices: status 503"));
        one.failed("status 503");
        assert!(all.judge().is_err());
        one.fresh();
        assert!(all.judge().is_ok());
        tokio::time::advance(LONG + Duration::from_secs(1)).await;
        assert!(all.judge().is_err(), "what is not heard of for too long is not fresh");
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_half_is_too_much_and_what_is_not_polled_here_does_not_count() {
        let all = Freshness::new();
        let sources: Vec<SourceFreshness> =
            ["a", "b", "c"].iter().map(|label| add(&all, label, &[])).collect();
        sources.iter().for_each(SourceFreshness::fresh);
        sources[0].failed("x");
        assert!(all.judge().is_ok());
        sources[1].failed("x");
        assert!(all.judge().unwrap_err().contains("2 of 3 sources fail"));
        drop(sources);
        assert!(all.judge().is_ok(), "another instance polls them");
    }
}
