//! What is critical waits for the service alone.

use crypto_intel_sandbox::{
    ChatLimits,
    chat::{ChatFault, ChatService},
};
use crypto_intel_schemas::{Alert, DeliveryState, Severity};
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

fn info(number: usize) -> Alert {
    Alert { severity: Severity::Info, ..alert(number) }
}

#[tokio::test]
async fn a_critical_message_passes_a_long_queue() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    for number in 0..40 {
        servers.publish(info(number)).await;
    }
    let slow = "{ limits = [{ messages = 1, per_ms = 400 }], digest_above = 0 }";
    let _role = servers.notify(servers.strict_config(slow, "{}")).await;
    eventually(async || servers.texts("-1001").len() >= 2).await;
    servers.publish(alert(77)).await;
    eventually(async || servers.texts("-1001").iter().any(|text| text.contains("C0077"))).await;
    let texts = servers.texts("-1001");
    let place = texts.iter().position(|text| text.contains("C0077")).unwrap();
    assert!(place <= 6, "it is number {place}: {texts:#?}");
    let mut others: Vec<usize> = texts
        .iter()
        .filter_map(|text| text.split("#C").nth(1)?.get(..4)?.parse().ok())
        .filter(|number| *number != 77)
        .collect();
    assert!(others.is_sorted(), "each lane keeps its order: {others:?}");
    others.dedup();
    servers.no_violations();
}

#[tokio::test]
async fn a_critical_message_passes_a_back_off_but_not_a_429() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(Some(ChatService::Telegram), ChatFault::ServerErrorAfterAccept, 2);
    let role = servers.notify(servers.config("", "")).await;
    servers.publish(info(1)).await;
    // The second failure is followed by a wait of four seconds.
    let failed = || role.metric("crypto_intel_notify_attempts_total", &["ops", "uncertain"]);
    eventually(async || failed() == 2.0).await;
    servers.publish(alert(2)).await;
    let ended = servers.ended(1).await;
    assert_eq!((ended[0].alert.as_str(), ended[0].state), ("key-2", DeliveryState::Sent));
    servers.ended(2).await;
    servers.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 2 },
        1,
    );
    servers.publish(info(3)).await;
    eventually(async || role.metric("crypto_intel_notify_attempts_total", &["ops", "wait"]) == 1.0)
        .await;
    servers.publish(alert(4)).await;
    servers.ended(4).await;
    servers.no_violations();
}

#[tokio::test]
async fn a_closed_destination_hands_over_both_lanes() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let blocked = "Forbidden: bot was blocked by the user";
    servers.chat.close_destination(ChatService::Telegram, "-1001", 403, blocked);
    let policy = "fallback = \"desk\", probe_after_seconds = [1]";
    let role = servers.notify(servers.config(policy, "")).await;
    for number in 0..3 {
        servers.publish(info(number)).await;
        servers.publish(alert(10 + number)).await;
    }
    eventually(async || servers.texts("42").len() == 6).await;
    servers.chat.reopen_destination(ChatService::Telegram, "-1001");
    let ended = servers.ended(12).await;
    assert!(ended.iter().all(|one| one.state == DeliveryState::Sent), "{ended:#?}");
    assert_eq!(servers.texts("-1001").len(), 6);
    role.until_healthy("notify.ops").await;
    servers.no_violations();
}
