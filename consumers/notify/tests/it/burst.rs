//! Far more alerts than any chat takes: 10,000 where `CRYPTO_INTEL_FAULT_SECONDS` is 60 or more (`make test-faults`), else
//! 600: what a group takes within a minute.

use std::collections::BTreeSet;

use crypto_intel_notify::delivery_id;
use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, DeliveryState, Event, Notification, Severity};
use crypto_intel_testkit::eventually;
use futures::stream::{self, StreamExt as _};

use crate::harness::{Servers, alert};

fn number_of_alerts() -> usize {
    let seconds = std::env::var("CRYPTO_INTEL_FAULT_SECONDS").unwrap_or_default();
    if seconds.parse().is_ok_and(|seconds: u64| seconds >= 60) { 10_000 } else { 600 }
}

#[tokio::test]
async fn thousands_of_alerts_end_as_digests_within_the_limits_and_none_is_lost() {
    let alerts = number_of_alerts();
    let critical = alerts * 2 / 3;
    let servers = Servers::start(ChatLimits::Strict).await;
    // As the router makes them.
    let made = (0..alerts).map(|number| {
        let severity = if number == critical { Severity::Critical } else { Severity::Info };
        let alert = Alert { severity, ..alert(number) };
        let id = delivery_id(&alert, "ops");
        let message =
            Notification { id, destination: "ops".into(), alert, ..Notification::empty() };
        servers.broker.publish([Event::from(message)])
    });
    stream::iter(made).buffered(64).collect::<()>().await;
    let role = servers.notify(servers.strict_config("{}", "{}")).await;
    let code = format!("C{critical:04}");
    eventually(async || servers.texts("-1001").iter().any(|text| text.contains(&code))).await;
    let soon = servers.deliveries().await.len();
    // Each step has the time of a test: a slow machine takes minutes for all.
    for part in 1..=10 {
        let enough = (alerts * part / 10) as u64;
        eventually(async || servers.broker.count("NOTIFY").await >= enough).await;
    }
    let ended = servers.deliveries().await;
    let told: BTreeSet<&str> = ended.iter().map(|one| one.alert.as_str()).collect();
    let meant: BTreeSet<String> = (0..alerts).map(|number| format!("key-{number}")).collect();
    assert_eq!(told, meant.iter().map(String::as_str).collect());
    assert!(ended.iter().all(|one| one.state == DeliveryState::Sent));
    let texts = servers.texts("-1001");
    let ids: BTreeSet<Option<&str>> = ended.iter().map(|one| one.message_id.as_deref()).collect();
    assert_eq!(ids.len(), texts.len(), "each end names the message that told it");
    assert!(texts.len() < 60, "{} messages", texts.len());
    assert!(soon < alerts, "what is critical did not wait for the others");
    let sent = role.metric("crypto_intel_notify_deliveries_total", &["ops", "sent"]);
    assert_eq!(sent, alerts as f64);
    eventually(async || servers.broker.nats.stream_state("OUTBOX").await.unwrap().messages == 0)
        .await;
    servers.no_violations();
}
