//! Says what stopped: the clock of the rules, a chain, a provider, a destination. It can tell only what others publish of
//! themselves; that notify itself stopped is for the dead man's switch.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy_primitives::{hex, keccak256};
use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_nats::{OutMessage, PublishError};
use crypto_intel_schemas::{
    Alert, AlertState, Event, Labels, ProviderState, Severity, Stream, short_code, subjects,
};
use crypto_intel_service::now_us;
use parking_lot::Mutex;

use super::{dispatch::Dispatcher, text};
use crate::records::closed::Closed;

/// Rule of its alerts.
const RULE: &str = "watchdog";
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// The clock ticks once a second.
const MAX_TICK_AGE_US: i64 = 60_000_000;
/// Endpoints and providers say how they are at least every few minutes.
const MAX_STATUS_AGE_US: i64 = 900_000_000;
/// What said nothing for so long is no longer configured.
const MAX_KNOWN_AGE_US: i64 = 86_400_000_000;
/// What is bad for less is not told: a restart, a short loss.
const GRACE_US: i64 = 60_000_000;
/// The server answers "maximum messages per subject exceeded" for an alert that is there.
const IS_THERE: u64 = 10_077;

/// What stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// `rules`, `chain`, `provider` or `destination`.
    what: &'static str,
    name: String,
    severity: Severity,
    title: String,
    hint: String,
}

/// Looks at the health of others now and then.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// The fallback of each destination that has one.
    fallbacks: BTreeMap<String, String>,
    /// Whether alerts that name no destination have one.
    places_all: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looked_us: i64,
    /// Since when each thing is bad.
    since: BTreeMap<String, i64>,
    all_well: bool,
}

/// What is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// What stopped, and since when.
    stopped: Vec<(Finding, i64)>,
    /// What goes again.
    going: Vec<String>,
}

impl State {
    /// Takes what is bad now. `open` are the alerts that say so already.
    fn advance(&mut self, findings: Vec<Finding>, open: &BTreeSet<String>, now: i64) -> Told {
        let bad: BTreeSet<String> = findings.iter().map(Finding::key).collect();
        self.since.retain(|key, _| bad.contains(key));
        // A destination or a provider is no reason to call for help outside: alerts still have a way.
        self.all_well = findings.iter().all(|finding| finding.what != "rules");
        let mut told = Told::default();
        for finding in findings {
            let since = *self.since.entry(finding.key()).or_insert(now);
            if now - since >= GRACE_US && !open.contains(&finding.key()) {
                told.stopped.push((finding, since));
            }
        }
        told.going = open.difference(&bad).cloned().collect();
        told
    }
}

impl Watchdog {
    pub(crate) fn new(fallbacks: BTreeMap<String, String>, places_all: bool) -> Self {
        Self { fallbacks, places_all, state: Mutex::default() }
    }

    /// Tells what stopped, and what goes again. Whether all is well, as far as it is known.
    pub(crate) async fn look(&self, dispatcher: &Dispatcher<'_>) -> anyhow::Result<bool> {
        let now = now_us();
        {
            let mut state = self.state.lock();
            let interval = i64::try_from(LOOK_INTERVAL.as_micros()).unwrap_or(i64::MAX);
            if now - state.looked_us < interval {
                return Ok(state.all_well);
            }
            state.looked_us = now;
        }
        let findings = self.find(dispatcher, now).await?;
        let open: BTreeMap<String, &Alert> = dispatcher
            .open
            .lasting()
            .filter(|alert| alert.rule == RULE)
            .map(|alert| (key_of(alert), alert))
            .collect();
        let known = open.keys().cloned().collect();
        let told = self.state.lock().advance(findings, &known, now);
        for (finding, since) in &told.stopped {
            self.publish(dispatcher, self.fired(finding, *since, now)).await?;
        }
        for alert in told.going.iter().filter_map(|key| open.get(key)) {
            self.publish(dispatcher, resolved(alert, now)).await?;
        }
        Ok(self.state.lock().all_well)
    }

    async fn find(&self, dispatcher: &Dispatcher<'_>, now: i64) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        findings.extend(rules(dispatcher, now).await?);
        findings.extend(statuses(dispatcher, now).await?);
        for name in &dispatcher.setup.destinations {
            let closed: Option<Closed> = dispatcher.records.closed(name).await?;
            findings.extend(closed.map(|closed| Finding {
                what: "destination",
                name: name.clone(),
                severity: Severity::Critical,
                title: format!("Nothing can be sent to {name}"),
                hint: format!("{}: {}", closed.why, closed.hint),
            }));
        }
        Ok(findings)
    }

    fn fired(&self, finding: &Finding, since: i64, now: i64) -> Alert {
        let key = format!("{}:{since}", finding.key());
        let alert = hex::encode(&keccak256(&key)[..8]);
        let routes: Vec<String> = match finding.what {
            "destination" => self.fallbacks.get(&finding.name).cloned().into_iter().collect(),
            _ if self.places_all => Vec::new(),
            // No route and no place for the rest: any way that exists.
            _ => self.fallbacks.values().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        };
        Alert {
            id: format!("{alert}:fired:1"),
            code: short_code(&alert),
            alert,
            rule: RULE.to_owned(),
            severity: finding.severity,
            state: AlertState::Fired,
            n: 1,
            title: finding.title.clone(),
            lines: vec![finding.hint.clone()],
            labels: Labels::from([("what", finding.what), (finding.what, finding.name.as_str())]),
            ongoing: true,
            routes,
            event_id: key,
            chain: (finding.what == "chain").then(|| finding.name.clone()),
            seen_at_us: now,
            ..Alert::at("notify", since, now)
        }
    }

    async fn publish(&self, dispatcher: &Dispatcher<'_>, alert: Alert) -> anyhow::Result<()> {
        let event = Event::from(alert);
        let message = OutMessage::new(subjects::of(&event), Bytes::from(event.encode()))
            .schema(event.kind().schema())
            .message_id(event.id());
        match dispatcher.setup.nats.publish(message).await {
            Ok(_) => Ok(()),
            Err(PublishError::Full { code: IS_THERE, .. }) => Ok(()),
            Err(error) => Err(error).context("publish an alert of the watchdog"),
        }
    }
}

impl Finding {
    fn key(&self) -> String {
        format!("{}:{}", self.what, self.name)
    }
}

fn key_of(alert: &Alert) -> String {
    let what = alert.labels.get("what").unwrap_or_default();
    format!("{what}:{}", alert.labels.get(what).unwrap_or_default())
}

fn resolved(alert: &Alert, now: i64) -> Alert {
    let n = alert.n + 1;
    Alert {
        id: format!("{}:resolved:{n}", alert.alert),
        state: AlertState::Resolved,
        n,
        lines: vec![format!("it lasted for {}", text::duration(now - alert.event_at_us))],
        observed_at_us: now,
        seen_at_us: now,
        ..alert.clone()
    }
}

/// Whether the clock of the rules goes. Where it never did, no rules run.
async fn rules(dispatcher: &Dispatcher<'_>, now: i64) -> anyhow::Result<Option<Finding>> {
    let mut newest = None;
    for stream in [Stream::Evm, Stream::Market, Stream::Signals, Stream::Status] {
        let subject = subjects::tick(stream.name());
        let tick = dispatcher
            .setup
            .nats
            .last_on_subject(stream.name(), &subject)
            .await
            .context("read the newest tick")?;
        newest = newest.max(tick.map(|tick| tick.stored_at_us));
    }
    let is_stopped = |at: &i64| (MAX_TICK_AGE_US..MAX_KNOWN_AGE_US).contains(&(now - at));
    Ok(newest.filter(is_stopped).map(|_| Finding {
        what: "rules",
        name: "alerts".to_owned(),
        severity: Severity::Critical,
        title: "Rules are not evaluated".to_owned(),
        hint: "the role alerts does not tick: see its log and `crypto-intel status`".to_owned(),
    }))
}

/// Providers and chains, as they say of themselves.
async fn statuses(dispatcher: &Dispatcher<'_>, now: i64) -> anyhow::Result<Vec<Finding>> {
    let nats = &dispatcher.setup.nats;
    let stream = Stream::Status.name();
    let mut findings = Vec::new();
    // A chain goes as long as one of its endpoints does.
    let mut chains: BTreeMap<String, (bool, i64)> = BTreeMap::new();
    let filters = [subjects::PROVIDER_STATUS_ALL, subjects::NODE_STATUS_ALL];
    for filter in filters {
        for subject in nats.subjects_of(stream, filter).await.context("list STATUS")? {
            let message = nats.last_on_subject(stream, &subject).await.context("read STATUS")?;
            let Some(message) = message else { continue };
            let age = now - message.stored_at_us;
            if age > MAX_KNOWN_AGE_US {
                continue;
            }
            match Event::decode(&message.payload) {
                Ok(Event::NodeStatus(node)) => {
                    let chain = chains.entry(node.chain.clone()).or_insert((false, i64::MAX));
                    let is_alive = node.connected && age <= MAX_STATUS_AGE_US;
                    *chain = (chain.0 || is_alive, chain.1.min(age));
                }
                Ok(Event::ProviderStatus(status)) if status.endpoint.is_none() => {
                    findings.extend(provider(&status.provider, status.state, status.detail, age));
                }
                _ => {}
            }
        }
    }
    for (chain, (is_alive, age)) in chains {
        if !is_alive {
            findings.push(Finding {
                what: "chain",
                title: format!("No endpoint of {chain} is connected"),
                hint: format!("the newest word of one is {} old", text::duration(age)),
                name: chain,
                severity: Severity::Critical,
            });
        }
    }
    Ok(findings)
}

fn provider(name: &str, state: ProviderState, detail: Option<String>, age: i64) -> Option<Finding> {
    let hint = match state {
        ProviderState::Refused | ProviderState::QuotaSpent | ProviderState::Failing => {
            detail.unwrap_or_else(|| state.as_str().to_owned())
        }
        ProviderState::Off => return None,
        _ if age > MAX_STATUS_AGE_US => format!("it said nothing for {}", text::duration(age)),
        _ => return None,
    };
    Some(Finding {
        what: "provider",
        name: name.to_owned(),
        severity: Severity::Warning,
        title: format!("Provider {name} gives nothing ({})", state.as_str()),
        hint,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn chain() -> Finding {
        Finding {
            what: "chain",
            name: "base".to_owned(),
            severity: Severity::Critical,
            title: "No endpoint of base is connected".to_owned(),
            hint: String::new(),
        }
    }

    #[test]
    fn what_stops_is_told_once_after_a_minute_and_its_end_at_once() {
        let mut state = State::default();
        let (none, open) = (BTreeSet::new(), BTreeSet::from(["chain:base".to_owned()]));
        assert_eq!(state.advance(vec![chain()], &none, 0), Told::default());
        assert_eq!(state.advance(vec![], &none, MINUTE / 2), Told::default(), "a short loss");
        assert_eq!(state.advance(vec![chain()], &none, MINUTE), Told::default());
        let told = state.advance(vec![chain()], &none, 2 * MINUTE);
        assert_eq!(told.stopped, [(chain(), MINUTE)]);
        assert_eq!(state.advance(vec![chain()], &open, 3 * MINUTE), Told::default());
        // Also by an instance that has just started.
        let told = State::default().advance(vec![], &open, 4 * MINUTE);
        assert_eq!(told.going, ["chain:base"]);
    }

    #[test]
    fn the_alert_of_a_destination_goes_to_its_fallback_and_its_end_has_the_same_key() {
        let fallbacks = BTreeMap::from([("ops".to_owned(), "desk".to_owned())]);
        let dog = Watchdog::new(fallbacks, true);
        let finding = Finding { what: "destination", name: "ops".to_owned(), ..chain() };
        let fired = dog.fired(&finding, 5, 6);
        assert_eq!(fired.routes, ["desk"]);
        assert_eq!(key_of(&fired), finding.key());
        let over = resolved(&fired, 7);
        assert_eq!((&over.alert, over.state, over.n), (&fired.alert, AlertState::Resolved, 2));
        assert_eq!(dog.fired(&chain(), 5, 6).routes, Vec::<String>::new());
        let dog = Watchdog::new(BTreeMap::from([("ops".to_owned(), "desk".to_owned())]), false);
        assert_eq!(dog.fired(&chain(), 5, 6).routes, ["desk"], "no other way");
    }

    #[test]
    fn a_provider_that_fails_or_says_nothing_has_stopped_and_one_that_is_off_has_not() {
        let state = |state, age| provider("binance", state, None, age).is_some();
        assert!(state(ProviderState::Refused, 0) && state(ProviderState::QuotaSpent, 0));
        assert!(state(ProviderState::Ok, MAX_STATUS_AGE_US + 1) && !state(ProviderState::Ok, 0));
        assert!(!state(ProviderState::Off, MAX_STATUS_AGE_US + 1));
        assert!(!state(ProviderState::Held, 0), "it was asked to wait");
    }
}
