//! What is routed side by side, and what is not. Work is counted, not timed.

use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, AlertState, DeliveryState, Event, Severity};
use crypto_intel_testkit::eventually;

use crate::{
    calm::{Calm, PLAIN, placed},
    harness::{Servers, alert},
};

const ROUNDS: &str = "crypto_intel_notify_rounds_total";

#[tokio::test]
async fn many_alerts_take_few_rounds_and_what_waits_is_written_once_a_round() {
    let calm = Calm::start(&format!("{PLAIN}group_by = [\"rule\"]\ncollect = \"1h\"\n")).await;
    let alerts = (0..600).map(|number| Event::from(placed(number, "whale", Severity::Info)));
    for alert in alerts {
        calm.servers.broker.publish([alert]).await;
    }
    let role = calm.notify().await;
    let held = || role.metric("crypto_intel_notify_held_messages", &["ops"]);
    eventually(async || held() == 600.0 && calm.servers.broker.count("ALERT").await == 600).await;
    eventually(async || role.metric("crypto_intel_notify_received_total", &["routed"]) == 600.0)
        .await;
    let rounds = role.metric(ROUNDS, &[]);
    assert!((1.0..=150.0).contains(&rounds), "{rounds} rounds");
    role.stop().await;
    // Each write of a part is a message of the bucket's stream, whatever is left of it: of 600 alerts at least as many before.
    let writes = calm.nats().stream_state("KV_routing").await.unwrap().last_sequence;
    assert!(writes < 300, "{writes} writes");
}

#[tokio::test]
async fn of_one_alert_the_end_never_comes_before_its_beginning() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    for number in 0..40 {
        let fired = Alert { severity: Severity::Warning, ..alert(number) };
        let resolved = Alert {
            state: AlertState::Resolved,
            n: 2,
            id: format!("{}-r", fired.id),
            ..fired.clone()
        };
        servers.publish(fired).await;
        servers.publish(resolved).await;
    }
    let _role = servers.notify(servers.config("digest_above = 0", "")).await;
    let deliveries = servers.ended(80).await;
    assert!(deliveries.iter().all(|one| one.state == DeliveryState::Sent), "{deliveries:#?}");
    let messages = servers.chat.messages();
    assert_eq!(messages.len(), 40, "each end changes its message");
    assert!(messages.iter().all(|one| one.edits == 1 && one.text.starts_with('✅')));
    servers.no_violations();
}
