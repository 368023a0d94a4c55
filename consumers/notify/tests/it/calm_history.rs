//! What commands say: who was told, who would be told, and what stopped.

use crypto_intel_notify::{
    AlertStory, Matcher, acknowledge, alert_of, explain, list_alerts, show_alert,
};
use crypto_intel_schemas::{
    Alert, AlertState, DeliveryState, Event, EventKind as _, Labels, NodeStatus, Severity,
};
use crypto_intel_testkit::eventually;

use crate::{
    calm::{Calm, PLAIN, lasting, placed},
    calm_hours::always_quiet,
};

fn ends(story: &AlertStory) -> Vec<(&str, &str)> {
    story.told.iter().map(|told| (told.destination.as_str(), told.state.as_str())).collect()
}

#[tokio::test]
async fn an_alert_says_who_was_told_how_and_by_what_it_was_kept_back() {
    let calm = Calm::start(&format!("{PLAIN}{}", always_quiet())).await;
    let silence = calm.silence("rule=depeg").await;
    let _role = calm.notify().await;
    calm.servers.publish(placed(1, "whale", Severity::Critical)).await;
    calm.servers.publish(lasting(2, "depeg", Severity::Critical)).await;
    calm.servers.publish(placed(3, "whale", Severity::Info)).await;
    calm.servers.ended(2).await;
    let names = ["ops".to_owned(), "desk".to_owned()];
    let show = async |code: &str| show_alert(calm.nats(), &names, code).await.unwrap();
    let sent = show("C0001").await;
    assert_eq!(ends(&sent), [("ops", "sent")]);
    assert!(sent.told[0].message_id.is_some() && sent.told[0].seen_to_done_ms.is_some());
    let kept = show("c0002").await;
    assert_eq!(ends(&kept), [("ops", "silenced")]);
    assert_eq!(kept.told[0].cause.as_ref(), Some(&silence.id));
    assert!(kept.lasts && kept.acknowledged.is_none());
    acknowledge(calm.nats(), &kept.alert, "ana").await.unwrap();
    assert_eq!(show("C0002").await.acknowledged.unwrap().by, "ana");
    eventually(async || ends(&show("C0003").await) == [("ops", "held")]).await;
    let error = show_alert(calm.nats(), &names, "NONE0").await.unwrap_err().to_string();
    assert!(error.contains("alerts list"), "{error}");
    let whale = [Matcher::parse("rule=whale").unwrap()];
    let listed = list_alerts(calm.nats(), 0, &whale, 10).await.unwrap();
    let codes: Vec<&str> = listed.iter().map(|story| story.code.as_str()).collect();
    assert_eq!(codes, ["C0003", "C0001"], "the newest first");
    assert_eq!(list_alerts(calm.nats(), 0, &[], 1).await.unwrap()[0].code, "C0003");
}

#[tokio::test]
async fn a_route_test_says_by_which_route_and_what_keeps_it_back_now() {
    let calm = Calm::start(&format!(
        "{PLAIN}[[route]]\nname = \"night\"\nmatch = [\"rule=gas\"]\ndestinations = [\"desk\"]\n\
         escalate = {{ after = \"15m\", to = [\"ops\"] }}\n\
         [[inhibit]]\nsource = [\"rule=chain-stale\"]\ntarget = [\"rule=whale\"]\nequal = [\"chain\"]\n"
    ))
    .await;
    let silence = calm.silence("rule=depeg").await;
    let _role = calm.notify().await;
    let stale = lasting(1, "chain-stale", Severity::Critical);
    let on_base = Labels::from([("chain", "base")]);
    calm.servers.publish(Alert { labels: on_base, ..stale }).await;
    calm.servers.ended(1).await;
    calm.until_open(1).await;
    let config = calm.config();
    let test = async |values: &[&str]| {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        explain(Some(calm.nats()), &config, &alert_of(&values).unwrap()).await.unwrap()
    };
    let gas = test(&["rule=gas", "severity=critical"]).await;
    let target = &gas.destinations[0];
    assert_eq!(
        (target.destination.as_str(), target.by.as_str(), target.line),
        ("desk", "night", 3)
    );
    assert_eq!((target.verdict, target.escalation.as_deref()), ("sent", Some("ops after 15 min")));
    let depeg = test(&["rule=depeg"]).await;
    assert_eq!(depeg.destinations[0].verdict, "silenced");
    assert!(depeg.destinations[0].detail.contains(&silence.id));
    assert_eq!(test(&["rule=whale", "chain=base"]).await.destinations[0].verdict, "inhibited");
    assert_eq!(test(&["rule=whale"]).await.destinations[0].verdict, "sent");
    let offline = explain(None, &config, &alert_of(&["rule=depeg".to_owned()]).unwrap()).await;
    let offline = offline.unwrap();
    assert!(!offline.complete && offline.destinations[0].verdict == "sent");
}

#[tokio::test]
async fn the_watchdog_resolves_what_is_known_to_go_again_with_the_rights_of_its_role() {
    let calm = Calm::start(PLAIN).await;
    let of = |number, chain| {
        let labels = Labels::from([("what", "chain"), ("chain", chain)]);
        Alert { labels, ..lasting(number, "watchdog", Severity::Critical) }
    };
    let (goes, unknown) = (of(1, "base"), of(2, "ethereum"));
    calm.servers.publish(goes.clone()).await;
    calm.servers.publish(unknown.clone()).await;
    // Only one of the chains has said anything.
    let word = NodeStatus {
        id: "node-a".into(),
        chain: "base".into(),
        endpoint: "node-a".into(),
        connected: true,
        ..NodeStatus::sample()
    };
    calm.servers.broker.publish([Event::from(word)]).await;
    let _role = calm.notify().await;
    // It says so by an alert of its own.
    let deliveries = calm.servers.ended(3).await;
    assert!(deliveries.iter().all(|one| one.state == DeliveryState::Sent), "{deliveries:#?}");
    let resolved = |fired: &Alert| Alert { state: AlertState::Resolved, n: 2, ..fired.clone() };
    let is_told = |fired: &Alert| {
        let id = crypto_intel_notify::delivery_id(&resolved(fired), "ops");
        deliveries.iter().any(|one| one.delivery == id)
    };
    assert!(is_told(&goes) && !is_told(&unknown), "{deliveries:#?}");
}
