//! What others say of themselves: the clock of the rules, chains, providers, destinations.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{Event, ProviderState, Severity, Stream, subjects};
use crypto_intel_service::now_us;
use futures::{
    future::{BoxFuture, FutureExt as _, try_join_all},
    stream::{StreamExt as _, TryStreamExt as _},
};

use super::text;
use crate::records::{closed::Closed, record::Records};

/// The clock ticks once a second.
const MAX_TICK_AGE_US: i64 = 60_000_000;
/// Endpoints and providers say how they are at least every few minutes.
const MAX_STATUS_AGE_US: i64 = 900_000_000;
/// What said nothing for so long may be no longer configured: nothing is known of it.
const MAX_KNOWN_AGE_US: i64 = 86_400_000_000;
/// Key of the clock of the rules.
const RULES: &str = "rules:alerts";
/// Messages that are read at the same time.
const READS_AT_ONCE: usize = 16;

/// What stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// `rules`, `chain`, `provider` or `destination`.
    pub(super) what: &'static str,
    pub(super) name: String,
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) hint: String,
}

/// What is known of others at a moment. What is in neither is not known, which is not well.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(super) stopped: Vec<Finding>,
    /// Keys of what goes, by a fresh word of it.
    pub(super) going: BTreeSet<String>,
}

impl Sight {
    /// What others say of themselves now. Needs nothing of the router, so that it may take its time beside it.
    ///
    /// # Errors
    /// When a stream or bucket cannot be read: then nothing is known.
    pub(crate) async fn take(
        nats: &Nats,
        records: &Records,
        destinations: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let now = now_us();
        let mut sight = Self::default();
        sight.add(RULES.to_owned(), rules(nats, now).await?);
        statuses(nats, now, &mut sight).await?;
        for name in destinations {
            let closed: Option<Closed> = records.closed(name).await?;
            let finding = closed.map(|closed| Finding {
                what: "destination",
                name: name.clone(),
                severity: Severity::Critical,
                title: format!("Nothing can be sent to {name}"),
                hint: format!("{}: {}", closed.why, closed.hint),
            });
            sight
                .add(format!("destination:{name}"), finding.map_or(Health::Going, Health::Stopped));
        }
        Ok(sight)
    }

    fn add(&mut self, key: String, health: Health) {
        match health {
            Health::Going => _ = self.going.insert(key),
            Health::Stopped(finding) => self.stopped.push(finding),
            Health::Unknown => {}
        }
    }

    /// Whether the rules are evaluated. A destination or a provider is no reason to call for help outside: alerts still
    /// have a way.
    pub(crate) fn is_well(&self) -> bool {
        self.going.contains(RULES)
    }
}

/// How something does, as far as it is known.
#[derive(Debug)]
enum Health {
    Going,
    Stopped(Finding),
    Unknown,
}

impl Finding {
    pub(super) fn key(&self) -> String {
        format!("{}:{}", self.what, self.name)
    }
}

/// Whether the clock of the rules goes. Where it never did, or not for a day, nothing is known of rules.
async fn rules(nats: &Nats, now: i64) -> anyhow::Result<Health> {
    let streams = [Stream::Evm, Stream::Market, Stream::Signals, Stream::Status];
    let reads = streams.map(async |stream| {
        let tick = nats.last_on_subject(stream.name(), &subjects::tick(stream.name())).await;
        tick.context("read the newest tick")
    });
    let newest =
        try_join_all(reads).await?.into_iter().flatten().map(|tick| tick.stored_at_us).max();
    Ok(match newest.map(|at| now - at) {
        Some(age) if age < MAX_TICK_AGE_US => Health::Going,
        Some(age) if age < MAX_KNOWN_AGE_US => Health::Stopped(Finding {
            what: "rules",
            name: "alerts".to_owned(),
            severity: Severity::Critical,
            title: "Rules are not evaluated".to_owned(),
            hint: "the role alerts does not tick: see its log and `crypto-intel status`".to_owned(),
        }),
        Some(_) | None => Health::Unknown,
    })
}

/// The newest word of an endpoint of a chain.
#[derive(Debug, Clone, Copy)]
struct ChainWord {
    is_connected: bool,
    age_us: i64,
}

/// Providers and chains, as they say of themselves.
async fn statuses(nats: &Nats, now: i64, sight: &mut Sight) -> anyhow::Result<()> {
    let stream = Stream::Status.name();
    let mut subjects = Vec::new();
    for filter in [subjects::PROVIDER_STATUS_ALL, subjects::NODE_STATUS_ALL] {
        subjects.extend(nats.subjects_of(stream, filter).await.context("list STATUS")?);
    }
    let reads: Vec<BoxFuture<'_, _>> =
        subjects.iter().map(|subject| nats.last_on_subject(stream, subject).boxed()).collect();
    let mut words = futures::stream::iter(reads).buffer_unordered(READS_AT_ONCE);
    let mut chains: BTreeMap<String, Vec<ChainWord>> = BTreeMap::new();
    while let Some(message) = words.try_next().await.context("read STATUS")? {
        let Some(message) = message else { continue };
        let age_us = now - message.stored_at_us;
        match Event::decode(&message.payload) {
            Ok(Event::NodeStatus(node)) => {
                let word = ChainWord { is_connected: node.connected, age_us };
                chains.entry(node.chain).or_default().push(word);
            }
            Ok(Event::ProviderStatus(status)) if status.endpoint.is_none() => {
                let health = provider(&status.provider, status.state, status.detail, age_us);
                sight.add(format!("provider:{}", status.provider), health);
            }
            _ => {}
        }
    }
    for (name, words) in chains {
        sight.add(format!("chain:{name}"), chain(&name, &words));
    }
    Ok(())
}

/// A chain goes as long as one of its endpoints does.
fn chain(name: &str, words: &[ChainWord]) -> Health {
    let newest = words.iter().map(|word| word.age_us).min().unwrap_or(i64::MAX);
    if words.iter().any(|word| word.is_connected && word.age_us <= MAX_STATUS_AGE_US) {
        return Health::Going;
    }
    if newest > MAX_KNOWN_AGE_US {
        return Health::Unknown;
    }
    Health::Stopped(Finding {
        what: "chain",
        name: name.to_owned(),
        severity: Severity::Critical,
        title: format!("No endpoint of {name} is connected"),
        hint: format!("the newest word of one is {} old", text::duration(newest)),
    })
}

fn provider(name: &str, state: ProviderState, detail: Option<String>, age: i64) -> Health {
    let hint = match state {
        _ if age > MAX_KNOWN_AGE_US => return Health::Unknown,
        ProviderState::Refused | ProviderState::QuotaSpent | ProviderState::Failing => {
            detail.unwrap_or_else(|| state.as_str().to_owned())
        }
        ProviderState::Off => return Health::Going,
        _ if age > MAX_STATUS_AGE_US => format!("it said nothing for {}", text::duration(age)),
        _ => return Health::Going,
    };
    Health::Stopped(Finding {
        what: "provider",
        name: name.to_owned(),
        severity: Severity::Warning,
        title: format!("Provider {name} gives nothing ({})", state.as_str()),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn a_chain_goes_as_long_as_one_of_its_endpoints_says_so() {
        assert!(!Sight::default().is_well());
        let old = [ChainWord { is_connected: true, age_us: MAX_KNOWN_AGE_US + 1 }];
        assert!(matches!(chain("base", &old), Health::Unknown));
        let word = |is_connected, age_us| ChainWord { is_connected, age_us };
        let one_goes = [word(false, 0), word(true, MINUTE)];
        assert!(matches!(chain("base", &one_goes), Health::Going));
        assert!(matches!(chain("base", &[word(true, 20 * MINUTE)]), Health::Stopped(_)));
    }

    #[test]
    fn a_provider_that_fails_or_says_nothing_has_stopped_and_one_that_is_off_has_not() {
        let state =
            |state, age| matches!(provider("binance", state, None, age), Health::Stopped(_));
        assert!(state(ProviderState::Refused, 0) && state(ProviderState::QuotaSpent, 0));
        assert!(state(ProviderState::Ok, MAX_STATUS_AGE_US + 1) && !state(ProviderState::Ok, 0));
        assert!(!state(ProviderState::Off, MAX_STATUS_AGE_US + 1));
        assert!(!state(ProviderState::Held, 0), "it was asked to wait");
        let old = provider("binance", ProviderState::Failing, None, MAX_KNOWN_AGE_US + 1);
        assert!(matches!(old, Health::Unknown), "no one says that it fails");
    }
}
