//! Random alerts, corrections, silences, inhibitions, quiet hours, acknowledgements and kills: every routed word ends in exactly
//! one state at each of its destinations, what people saw is what the states say, and escalation follows when no one
//! acknowledged, and not when someone did in time.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use crypto_intel_notify::{Matcher, NewSilence, acknowledge, delivery_id};
use crypto_intel_schemas::{Alert, AlertState, Delivery, DeliveryState, Labels, Severity};
use crypto_intel_testkit::{SeededRandom, eventually};
use rand::RngExt as _;

use crate::{
    calm::{Calm, placed},
    calm_hours::always_quiet,
};

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
/// An acknowledgement that comes so soon after its alert is known before anything is escalated.
const IN_TIME: Duration = Duration::from_secs(1);

/// An alert as it is now.
#[derive(Clone)]
struct Live {
    alert: Alert,
    published: Instant,
    acknowledged: Option<Instant>,
    is_over: bool,
}

/// What the test knows to be true.
#[derive(Default)]
struct Model {
    published: Vec<Alert>,
    live: Vec<Live>,
    silences: Vec<String>,
}

impl Model {
    fn next(&mut self, random: &mut SeededRandom) -> Alert {
        let open: Vec<usize> =
            (0..self.live.len()).filter(|index| !self.live[*index].is_over).collect();
        if !open.is_empty() && random.random_bool(0.45) {
            let live = &mut self.live[open[random.random_range(0..open.len())]];
            let word = follow_up(live, random);
            live.alert = word.clone();
            return word;
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
        let block_hash = Some(B256::repeat_byte(1));
        let number = self.published.len();
        let alert = Alert { labels, ongoing, block_hash, ..placed(number, rule, severity) };
        let published = Instant::now();
        let (acknowledged, is_over) = (None, false);
        self.live.push(Live { alert: alert.clone(), published, acknowledged, is_over });
        alert
    }

    /// The deliveries that there must be, and those that escalation adds.
    fn expected(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        for alert in &self.published {
            if alert.labels.get("team").is_none() {
                must.insert(delivery_id(alert, "ops"));
                continue;
            }
            must.insert(delivery_id(alert, "desk"));
            may.insert(delivery_id(alert, "ops"));
            // Those who did not hear of its corrections are told of it as of something new.
            let news = Alert { state: AlertState::Fired, ..alert.clone() };
            may.insert(delivery_id(&news, "ops"));
        }
        (must, may)
    }

    /// Alerts of which others must be told, because no one acknowledged and it stands.
    fn escalated<'m>(&'m self, states: &BTreeMap<String, &Delivery>) -> Vec<&'m Alert> {
        let sent = |live: &&Live| {
            let fired = Alert { state: AlertState::Fired, n: 1, ..live.alert.clone() };
            let end = states.get(&delivery_id(&fired, "desk"));
            end.is_some_and(|end| !end.state.is_kept_back())
        };
        let live = self.live.iter().filter(|live| live.acknowledged.is_none() && !live.is_over);
        live.filter(sent).map(|live| &live.alert).collect()
    }
}

/// It moves, leaves the chain, or ends.
fn follow_up(live: &mut Live, random: &mut SeededRandom) -> Alert {
    let before = &live.alert;
    let n = before.n + 1;
    let id = format!("{}-{n}", before.id);
    let word = Alert { n, id, ..before.clone() };
    let corrected = |line: &str| vec![line.to_owned()];
    match random.random_range(0..3) {
        0 if before.ongoing => {
            live.is_over = true;
            Alert { state: AlertState::Resolved, ..word }
        }
        1 => {
            live.is_over = true;
            let lines = corrected("No longer on chain: the block was replaced.");
            Alert { state: AlertState::Corrected, lines, ..word }
        }
        _ => {
            let block_hash = Some(B256::repeat_byte(n as u8));
            let lines = corrected("Moved to another block.");
            Alert { state: AlertState::Corrected, lines, block_hash, ..word }
        }
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
        if random.random_bool(0.6) {
            let live = &mut model.live;
            let index = live.len() - 1 - random.random_range(0..live.len().min(8));
            acknowledge(calm.nats(), &live[index].alert.alert, "ana").await.unwrap();
            live[index].acknowledged.get_or_insert_with(Instant::now);
        }
        let quiet = if random.random_bool(0.3) { always_quiet() } else { String::new() };
        calm.write(&format!("{ROUTES}{quiet}"));
        random.pause_ms(0..400).await;
        role.kill().await;
        role = calm.notify().await;
    }
    for id in &model.silences {
        silences.end(id, "luis").await.unwrap();
    }
    calm.write(ROUTES);
    let (must, may) = model.expected();
    let is_at_ops = |states: &BTreeMap<String, &Delivery>, alert: &Alert| {
        let mut own = states.values().filter(|one| one.alert == alert.alert);
        own.any(|one| one.destination == "ops")
    };
    let mut last = String::new();
    eventually(async || {
        let deliveries = calm.servers.deliveries().await;
        let states = states(&deliveries);
        let told: BTreeSet<String> = states.keys().cloned().collect();
        let outbox = calm.nats().stream_state("OUTBOX").await.unwrap().messages;
        let escalated = model.escalated(&states);
        let team = escalated.into_iter().filter(|alert| alert.labels.get("team").is_some());
        let untold: Vec<&String> = must.difference(&told).collect();
        let waits: Vec<&str> =
            team.filter(|alert| !is_at_ops(&states, alert)).map(|one| one.code.as_str()).collect();
        let left = format!("untold {untold:?}, not escalated {waits:?}, {outbox} in OUTBOX");
        if left != last {
            eprintln!("{left}");
            last = left;
        }
        untold.is_empty() && waits.is_empty() && outbox == 0
    })
    .await;
    let deliveries = calm.servers.deliveries().await;
    let states = states(&deliveries);
    let own = |id: &&String| !id.starts_with("silence:") && !id.starts_with("inhibition:");
    let told: BTreeSet<String> = states.keys().filter(own).cloned().collect();
    let all: BTreeSet<String> = must.union(&may).cloned().collect();
    assert!(told.is_subset(&all), "{:?} were never routed", told.difference(&all));
    for live in model.live.iter().filter(|live| live.alert.labels.get("team").is_some()) {
        let taken = live.acknowledged.map(|at| at.duration_since(live.published));
        let is_escalated = is_at_ops(&states, &live.alert);
        assert!(
            !(is_escalated && taken.is_some_and(|after| after < IN_TIME)),
            "{} was acknowledged after {taken:?}",
            live.alert.code
        );
    }
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
                        // Its further words, and others' news of it, once it was told that it lasts.
                        let later = |text: &&String| text.contains(['✅', '✏']);
                        let seen = own.iter().find(|text| !is_summary(text) && !later(text));
                        assert_eq!(seen, None, "{} was kept back", end.delivery);
                    }
                }
                other => panic!("{} ends as {other:?}", end.delivery),
            }
        }
    }
}
