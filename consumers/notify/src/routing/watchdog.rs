//! Says what stopped: the clock of the rules, a chain, a provider, a destination. It can tell only what others publish of
//! themselves; that notify itself stopped is for the dead man's switch.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{hex, keccak256};
use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{Alert, AlertState, Event, Labels, Stream, short_code, subjects};
use crypto_intel_service::now_us;
use parking_lot::Mutex;

use super::{
    dispatch::Dispatcher,
    sight::{Finding, Sight},
    text,
};

/// Rule of its alerts.
const RULE: &str = "watchdog";
/// What is bad for less is not told: a restart, a short loss.
const GRACE_US: i64 = 60_000_000;

/// Looks at the health of others now and then.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// The fallback of each destination that has one.
    fallbacks: BTreeMap<String, String>,
    /// Whether alerts that name no destination have one.
    places_all: bool,
    /// Since when each thing is bad.
    since: Mutex<Since>,
}

#[derive(Debug, Default)]
struct Since(BTreeMap<String, i64>);

/// What is to be told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// What stopped, and since when.
    stopped: Vec<(Finding, i64)>,
    /// What goes again.
    going: Vec<String>,
}

impl Since {
    /// Takes what is known now. `open` are the alerts that say that something stopped.
    fn advance(&mut self, sight: Sight, open: &BTreeSet<String>, now: i64) -> Told {
        let Sight { stopped, going } = sight;
        self.0.retain(|key, _| stopped.iter().any(|finding| finding.key() == *key));
        let mut told = Told::default();
        for finding in stopped {
            let since = *self.0.entry(finding.key()).or_insert(now);
            if now - since >= GRACE_US && !open.contains(&finding.key()) {
                told.stopped.push((finding, since));
            }
        }
        told.going = open.intersection(&going).cloned().collect();
        told
    }
}

impl Watchdog {
    pub(crate) fn new(fallbacks: BTreeMap<String, String>, places_all: bool) -> Self {
        Self { fallbacks, places_all, since: Mutex::default() }
    }

    /// Tells what stopped, and what goes again.
    ///
    /// # Errors
    /// When an alert cannot be published.
    pub(crate) async fn tell(
        &self,
        dispatcher: &Dispatcher<'_>,
        mut sight: Sight,
    ) -> anyhow::Result<()> {
        let now = now_us();
        let open: BTreeMap<String, &Alert> = dispatcher
            .open
            .lasting()
            .filter(|alert| alert.rule == RULE)
            .map(|alert| (key_of(alert), alert))
            .collect();
        // Nothing has to be sent to what is no longer configured.
        let configured = &dispatcher.setup.destinations;
        let is_removed = |key: &&String| {
            let name = key.strip_prefix("destination:");
            name.is_some_and(|name| !configured.contains(name))
        };
        sight.going.extend(open.keys().filter(is_removed).cloned());
        let told = self.since.lock().advance(sight, &open.keys().cloned().collect(), now);
        for (finding, since) in &told.stopped {
            self.publish(dispatcher, self.fired(finding, *since, now)).await?;
        }
        for alert in told.going.iter().filter_map(|key| open.get(key)) {
            self.publish(dispatcher, resolved(alert, now)).await?;
        }
        Ok(())
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
        let published = dispatcher.setup.nats.publish_once(Stream::Alert.name(), message).await;
        published.map(drop).context("publish an alert of the watchdog")
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

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::Severity;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn base() -> Finding {
        Finding {
            what: "chain",
            name: "base".to_owned(),
            severity: Severity::Critical,
            title: "No endpoint of base is connected".to_owned(),
            hint: String::new(),
        }
    }

    fn bad() -> Sight {
        Sight { stopped: vec![base()], ..Sight::default() }
    }

    fn good() -> Sight {
        Sight { going: BTreeSet::from(["chain:base".to_owned()]), ..Sight::default() }
    }

    #[test]
    fn what_stops_is_told_once_after_a_minute_and_its_end_at_once() {
        let mut since = Since::default();
        let (none, open) = (BTreeSet::new(), BTreeSet::from(["chain:base".to_owned()]));
        assert_eq!(since.advance(bad(), &none, 0), Told::default());
        assert_eq!(since.advance(good(), &none, MINUTE / 2), Told::default(), "a short loss");
        assert_eq!(since.advance(bad(), &none, MINUTE), Told::default());
        let told = since.advance(bad(), &none, 2 * MINUTE);
        assert_eq!(told.stopped, [(base(), MINUTE)]);
        assert_eq!(since.advance(bad(), &open, 3 * MINUTE), Told::default());
        // Also by an instance that has just started.
        let told = Since::default().advance(good(), &open, 4 * MINUTE);
        assert_eq!(told.going, ["chain:base"]);
    }

    #[test]
    fn what_is_not_known_neither_stops_nor_goes_again() {
        let open = BTreeSet::from(["chain:base".to_owned()]);
        let told = Since::default().advance(Sight::default(), &open, 0);
        assert_eq!(told, Told::default());
    }

    #[test]
    fn the_alert_of_a_destination_goes_to_its_fallback_and_its_end_has_the_same_key() {
        let fallbacks = BTreeMap::from([("ops".to_owned(), "desk".to_owned())]);
        let dog = Watchdog::new(fallbacks, true);
        let finding = Finding { what: "destination", name: "ops".to_owned(), ..base() };
        let fired = dog.fired(&finding, 5, 6);
        assert_eq!(fired.routes, ["desk"]);
        assert_eq!(key_of(&fired), finding.key());
        let over = resolved(&fired, 7);
        assert_eq!((&over.alert, over.state, over.n), (&fired.alert, AlertState::Resolved, 2));
        assert_eq!(dog.fired(&base(), 5, 6).routes, Vec::<String>::new());
        let dog = Watchdog::new(BTreeMap::from([("ops".to_owned(), "desk".to_owned())]), false);
        assert_eq!(dog.fired(&base(), 5, 6).routes, ["desk"], "no other way");
    }
}
