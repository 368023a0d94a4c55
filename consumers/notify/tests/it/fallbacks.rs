//! Messages that do not reach their destination: fallbacks, unknown routes, dead letters.

use crypto_intel_nats::list_dead_letters;
use crypto_intel_notify::{reopen_destination, retry_dead_letter, send_test};
use crypto_intel_sandbox::{
    ChatLimits,
    chat::{ChatFault, ChatService},
};
use crypto_intel_schemas::{Alert, DeliveryState, Severity};
use crypto_intel_service::now_us;
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

#[tokio::test]
async fn what_is_expired_or_skipped_reaches_the_fallback() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let policy = "fallback = \"desk\", max_age_seconds = 60, after_uncertain = { info = \"skip\" }";
    let role = servers.notify(servers.config(policy, "max_age_seconds = 60")).await;
    servers.publish(Alert { seen_at_us: now_us() - 90_000_000, ..alert(1) }).await;
    eventually(async || servers.texts("42").len() == 1).await;
    servers.chat.inject(Some(ChatService::Telegram), ChatFault::ResetBeforeAccept, 1);
    servers.publish(Alert { severity: Severity::Info, ..alert(2) }).await;
    let ended = servers.ended(4).await;
    let state = |destination: &str, code: usize| {
        let key = format!("key-{code}:");
        let one = ended.iter().find(|delivery| {
            delivery.destination == destination && delivery.delivery.starts_with(&key)
        });
        one.map(|delivery| delivery.state)
    };
    assert_eq!(state("ops", 1), Some(DeliveryState::Expired));
    assert_eq!(state("desk", 1), Some(DeliveryState::Sent), "it is news there");
    assert_eq!(state("ops", 2), Some(DeliveryState::Uncertain));
    let texts = servers.texts("42");
    assert!(texts[0].contains("for ops, which was not told in time"), "{texts:#?}");
    assert!(texts[1].contains("for ops, which was perhaps not told"), "{texts:#?}");
    assert_eq!(role.metric("crypto_intel_notify_routed_total", &["desk"]), 2.0);
}

#[tokio::test]
async fn a_fallback_that_is_also_a_route_gets_and_counts_one_message() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.close_destination(
        ChatService::Telegram,
        "-1001",
        400,
        "Bad Request: chat not found",
    );
    let policy = "fallback = \"desk\", max_age_seconds = 2, probe_after_seconds = [1]";
    let role = servers.notify(servers.config(policy, "")).await;
    let routes = vec!["ops".into(), "desk".into()];
    servers.publish(Alert { routes, ..alert(1) }).await;
    servers.ended(2).await;
    assert_eq!(servers.texts("42").len(), 1);
    assert_eq!(role.metric("crypto_intel_notify_routed_total", &["desk"]), 1.0);
}

#[tokio::test]
async fn three_attempts_that_may_have_arrived_end_in_the_fallback_and_a_dead_letter() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(Some(ChatService::Telegram), ChatFault::ServerErrorAfterAccept, 9);
    let _role = servers.notify(servers.config("fallback = \"desk\"", "")).await;
    servers.publish(alert(1)).await;
    let ended = servers.ended(2).await;
    let ops = ended.iter().find(|delivery| delivery.destination == "ops").unwrap();
    assert_eq!((ops.state, ops.attempts), (DeliveryState::Uncertain, 3));
    let copies = servers.texts("-1001");
    assert_eq!(copies.len(), 3);
    assert!(copies.iter().skip(1).all(|copy| copy.contains('↻')), "{copies:#?}");
    assert!(servers.texts("42")[0].contains("perhaps not told"));
    assert_eq!(list_dead_letters(&servers.broker.nats, Some("notify"), 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn alerts_without_a_known_route_go_where_the_configuration_says() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut config = servers.config("", "");
    config.unrouted = Some("desk".to_owned());
    let _role = servers.notify(config).await;
    servers.publish(Alert { routes: Vec::new(), ..alert(1) }).await;
    servers.publish(Alert { routes: vec!["opps".into()], ..alert(2) }).await;
    servers.publish(alert(3)).await;
    servers.ended(4).await;
    let texts = servers.texts("42");
    assert_eq!(texts.len(), 2);
    assert!(texts[0].contains("C0001") && texts[1].contains("C0002"), "{texts:#?}");
    assert_eq!(servers.texts("-1001").len(), 1);
}

#[tokio::test]
async fn messages_of_a_destination_that_was_removed_become_dead_letters() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 600 },
        1,
    );
    let first = servers.notify(servers.config("", "")).await;
    for number in 0..3 {
        servers.publish(alert(number)).await;
    }
    eventually(async || servers.broker.nats.stream_state("OUTBOX").await.unwrap().messages == 3)
        .await;
    first.stop().await;
    let mut config = servers.config("", "");
    config.destinations.remove("ops");
    let role = servers.notify(config).await;
    let ended = servers.ended(3).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Dead), "{ended:#?}");
    let letters = list_dead_letters(&servers.broker.nats, Some("notify"), 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    assert!(letters[0].error.contains("\"ops\" is not configured any more"), "{letters:?}");
    assert_eq!(role.metric("crypto_intel_notify_deliveries_total", &["unknown", "dead"]), 3.0);
}

#[tokio::test]
async fn a_dead_letter_that_is_handed_back_is_sent_and_marked() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.close_destination(
        ChatService::Telegram,
        "-1001",
        400,
        "Bad Request: chat not found",
    );
    let config = servers.config("max_age_seconds = 2, probe_after_seconds = [1]", "");
    let _role = servers.notify(config.clone()).await;
    servers.publish(alert(1)).await;
    servers.ended(1).await;
    servers.publish(Alert { routes: vec!["opps".into()], ..alert(2) }).await;
    servers.ended(2).await;
    servers.chat.reopen_destination(ChatService::Telegram, "-1001");
    let letters = list_dead_letters(&servers.broker.nats, Some("notify"), 10).await.unwrap();
    let known = config.languages();
    let back = async |letter, to| retry_dead_letter(&servers.broker.nats, &known, letter, to).await;
    assert_eq!(back(&letters[0], None).await.unwrap(), ["ops"]);
    let nowhere = back(&letters[1], None).await.unwrap_err().to_string();
    assert!(nowhere.contains("--to") && nowhere.contains("desk, ops"), "{nowhere}");
    assert_eq!(back(&letters[1], Some("desk")).await.unwrap(), ["desk"]);
    let ended = servers.ended(4).await;
    assert!(ended[2..].iter().all(|one| one.state == DeliveryState::Sent), "{ended:#?}");
    let text = servers.texts("-1001")[0].clone();
    assert!(text.contains("C0001") && text.contains("sent again by hand"), "{text}");
    assert!(servers.texts("42")[0].contains("C0002"));
}

#[tokio::test]
async fn a_test_message_opens_a_corrected_destination() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.close_destination(
        ChatService::Telegram,
        "-1001",
        400,
        "Bad Request: chat not found",
    );
    let config = servers.config("probe_after_seconds = [600]", "");
    let ops = config.destinations["ops"].clone();
    let role = servers.notify(config).await;
    servers.publish(alert(1)).await;
    eventually(async || role.metric("crypto_intel_notify_closed", &["ops"]) == 1.0).await;
    servers.chat.reopen_destination(ChatService::Telegram, "-1001");
    send_test("ops", &ops).await.unwrap();
    // The record follows the metric.
    eventually(async || reopen_destination(&servers.broker.nats, "ops").await.unwrap()).await;
    servers.ended(1).await;
    let texts = servers.texts("-1001");
    assert!(texts[0].contains("Test message") && texts[1].contains("C0001"), "{texts:#?}");
    servers.no_violations();
}
