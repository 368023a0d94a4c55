//! Random alerts, silences, inhibitions, acknowledgements and kills: every routed alert ends in exactly one state at each of
//! its destinations, and what people saw is what the states say.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crypto_intel_notify::{Matcher, NewSilence, acknowledge, delivery_id};
use crypto_intel_schemas::{Alert, AlertState, Delivery, DeliveryState, Labels, Severity};
use crypto_intel_testkit::{SeededRandom, eventually};
use rand::RngExt as _;

use crate::calm::{Calm, placed};

const ROUTES: &str = r#"
[root]
destinations = ["ops"]
group_by = ["rule", "chain"]
collect = "1s"

[[route]]
match = ["team=trading"]
destinations = ["desk"]
escalate = { after = "2s", to = ["ops"] }

[[inhibit]]
source = ["rule=stale"]
target = ["rule!=stale"]
equal = ["chain"]
"#;

/// What the test knows to be true.
#[derive(Default)]
struct Model {
    published: Vec<Alert>,
    lasting: Vec<Alert>,
    silences: Vec<String>,
}

impl Model {
    fn next(&mut self, random: &mut SeededRandom) -> Alert {
        if !self.lasting.is_empty() && random.random_bool(0.35) {
            let index = random.random_range(0..self.lasting.len());
            let fired = self.lasting.swap_remove(index);
            let id = format!("{}-r", fired.id);
            return Alert { state: AlertState::Resolved, n: 2, id, ..fired };
        }
        let rule = ["stale", "gas", "depeg", "whale"][random.random_range(0..4)];
        let severity =
            [Severity::Info, Severity::Warning, Severity::Critical][random.random_range(0..3)];
        let mut labels = Labels::default();
        if random.random_bool(0.8) {
            let chain = ["base", "ethereum"][random.random_range(0..2)];
            labels.0.insert("chain".to_owned(), chain.to_owned());
        }
        if random.random_bool(0.4) {
            labels.0.insert("team".to_owned(), "trading".to_owned());
        }
        let ongoing = matches!(rule, "stale" | "depeg");
        let alert = Alert { labels, ongoing, ..placed(self.published.len(), rule, severity) };
        if ongoing {
            self.lasting.push(alert.clone());
        }
        alert
    }

    /// The deliveries that there must be, and those that escalation adds.
    fn expected(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        for alert in &self.published {
            if alert.labels.get("team").is_some() {
                must.insert(delivery_id(alert, "desk"));
                may.insert(delivery_id(alert, "ops"));
            } else {
                must.insert(delivery_id(alert, "ops"));
            }
        }
        (must, may)
    }
}

/// The one state of each delivery.
fn states(deliveries: &[Delivery]) -> BTreeMap<String, &Delivery> {
    let mut states: BTreeMap<String, &Delivery> = BTreeMap::new();
    for one in deliveries {
        let known = states.entry(one.delivery.clone()).or_insert(one);
        assert_eq!(known.state, one.state, "{} ends in two states", one.delivery);
    }
    states
}

#[tokio::test]
async fn every_alert_ends_once_at_each_destination_whenever_notify_is_killed() {
    let calm = Calm::start(ROUTES).await;
    let mut random = SeededRandom::from_environment();
    let mut model = Model::default();
    let silences = calm.silences().await;
    let mut role = calm.notify().await;
    for round in 0..8 {
        for _ in 0..8 {
            let alert = model.next(&mut random);
            calm.servers.publish(alert.clone()).await;
            model.published.push(alert);
        }
        if random.random_bool(0.5) {
            let rule = ["gas", "depeg", "whale"][random.random_range(0..3)];
            let matchers = vec![Matcher::exact("rule", rule)];
            let long = Duration::from_secs(3_600);
            let new = NewSilence::lasting(matchers, long, "ana", &format!("round {round}"));
            model.silences.push(silences.add(new).await.unwrap().id);
        }
        if random.random_bool(0.4) && !model.silences.is_empty() {
            let id = &model.silences[random.random_range(0..model.silences.len())];
            silences.end(id, "luis").await.unwrap();
        }
        if random.random_bool(0.4) && !model.lasting.is_empty() {
            let alert = &model.lasting[random.random_range(0..model.lasting.len())];
            acknowledge(&calm.servers.broker.nats, &alert.alert, "ana").await.unwrap();
        }
        random.pause_ms(0..400).await;
        role.kill().await;
        role = calm.notify().await;
    }
    for id in &model.silences {
        silences.end(id, "luis").await.unwrap();
    }
    let (must, may) = model.expected();
    eventually(async || {
        let told = calm.servers.deliveries().await;
        let told: BTreeSet<String> = told.into_iter().map(|one| one.delivery).collect();
        let outbox = calm.servers.broker.nats.stream_state("OUTBOX").await.unwrap().messages;
        must.is_subset(&told) && outbox == 0
    })
    .await;
    // Escalations may still be under way: they only add.
    let deliveries = calm.servers.deliveries().await;
    let states = states(&deliveries);
    let own = |id: &&String| !id.starts_with("silence:") && !id.starts_with("inhibition:");
    let told: BTreeSet<String> = states.keys().filter(own).cloned().collect();
    let all: BTreeSet<String> = must.union(&may).cloned().collect();
    assert!(told.is_subset(&all), "{:?} were never routed", told.difference(&all));
    check_texts(&calm, &model, &states);
    calm.servers.no_violations();
}

/// What was sent was seen, and what was kept back was not, but for the summaries.
fn check_texts(calm: &Calm, model: &Model, states: &BTreeMap<String, &Delivery>) {
    let codes: BTreeSet<&String> =
        model.published.iter().filter(|alert| alert.rule == "stale").map(|one| &one.code).collect();
    for alert in &model.published {
        for (destination, chat) in [("ops", "-1001"), ("desk", "42")] {
            let Some(end) = states.get(&delivery_id(alert, destination)) else { continue };
            let texts = calm.servers.texts(chat);
            let own: Vec<&String> =
                texts.iter().filter(|text| text.contains(&alert.code)).collect();
            match end.state {
                DeliveryState::Sent | DeliveryState::Repeated => {
                    assert!(!own.is_empty(), "{} was not seen", end.delivery);
                }
                DeliveryState::Silenced | DeliveryState::Inhibited => {
                    let cause = end.cause.as_ref().expect("a cause");
                    assert!(model.silences.contains(cause) || codes.contains(cause), "{end:?}");
                    if alert.state == AlertState::Fired {
                        let is_summary = |text: &&String| text.contains("kept back");
                        let resolved = |text: &&String| text.contains('✅');
                        let seen = own.iter().find(|text| !is_summary(text) && !resolved(text));
                        assert_eq!(seen, None, "{} was kept back", end.delivery);
                    }
                }
                other => panic!("{} ends as {other:?}", end.delivery),
            }
        }
    }
}
