//! A destination that refuses everything: its messages wait, its fallback gets them, and all are sent once it is corrected.

use crypto_intel_nats::list_dead_letters;
use crypto_intel_sandbox::{ChatLimits, chat::ChatService};
use crypto_intel_schemas::{Alert, Delivery, DeliveryState};
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

const CLOSED: &str = "fallback = \"desk\", probe_after_seconds = [1, 1, 2]";

fn ended(deliveries: &[Delivery], destination: &str, state: DeliveryState) -> usize {
    let of = |delivery: &&Delivery| delivery.destination == destination && delivery.state == state;
    deliveries.iter().filter(of).count()
}

fn block(servers: &Servers) {
    let blocked = "Forbidden: bot was blocked by the user";
    servers.chat.close_destination(ChatService::Telegram, "-1001", 403, blocked);
}

#[tokio::test]
async fn a_permanent_refusal_loses_nothing_and_the_fallback_is_told_at_once() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    block(&servers);
    let role = servers.notify(servers.config(CLOSED, "")).await;
    for number in 0..4 {
        servers.publish(alert(number)).await;
    }
    eventually(async || servers.texts("42").len() == 4).await;
    let told = servers.texts("42")[0].clone();
    assert!(
        told.contains("for ops, which takes nothing now") && told.contains("blocked"),
        "{told}"
    );
    eventually(async || {
        let detail = role.detail("notify.ops");
        detail.contains("4 waiting") && detail.contains("invite the bot")
    })
    .await;
    assert!(!role.is_healthy("notify.ops") && role.is_healthy("notify.desk"));
    assert_eq!(role.metric("crypto_intel_notify_closed", &["ops"]), 1.0);
    assert_eq!(role.metric("crypto_intel_notify_routed_total", &["desk"]), 4.0);
    servers.chat.reopen_destination(ChatService::Telegram, "-1001");
    let deliveries = servers.ended(8).await;
    assert_eq!(ended(&deliveries, "ops", DeliveryState::Sent), 4, "{deliveries:#?}");
    assert_eq!(ended(&deliveries, "desk", DeliveryState::Sent), 4);
    let texts = servers.texts("-1001");
    assert!((0..4).all(|number| texts[number].contains(&format!("C000{number}"))), "{texts:#?}");
    role.until_healthy("notify.ops").await;
    assert_eq!(role.metric("crypto_intel_notify_closed", &["ops"]), 0.0);
    assert!(list_dead_letters(&servers.broker.nats, Some("notify"), 10).await.unwrap().is_empty());
    servers.no_violations();
}

#[tokio::test]
async fn a_restart_neither_probes_early_nor_tells_the_fallback_twice() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    block(&servers);
    let config = || servers.config("fallback = \"desk\", probe_after_seconds = [600]", "");
    let first = servers.notify(config()).await;
    servers.publish(alert(1)).await;
    servers.ended(1).await;
    first.kill().await;
    let requests = servers.chat.requests();
    let second = servers.notify(config()).await;
    servers.publish(alert(2)).await;
    servers.ended(2).await;
    assert!(!second.is_healthy("notify.ops"));
    let to_desk = servers.chat.requests() - requests;
    assert!(to_desk <= 2, "ops is left alone for ten minutes: {to_desk} requests");
    second.stop().await;
    // A changed address is not closed.
    servers.chat.reopen_destination(ChatService::Telegram, "-1001");
    let mut moved = config();
    if let Some(crypto_intel_notify::Destination::Telegram(telegram)) =
        moved.destinations.get_mut("ops")
    {
        telegram.chat_id = -1002;
    }
    let _third = servers.notify(moved).await;
    eventually(async || servers.texts("-1002").len() == 2).await;
    assert_eq!(servers.texts("42").len(), 2);
    servers.no_violations();
}

#[tokio::test]
async fn what_waits_too_long_for_a_closed_destination_is_a_dead_letter() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    block(&servers);
    let policy = "max_age_seconds = 2, probe_after_seconds = [1]";
    let _role = servers.notify(servers.config(policy, "")).await;
    servers.publish(alert(1)).await;
    let deliveries = servers.ended(1).await;
    assert_eq!(deliveries[0].state, DeliveryState::Dead);
    assert!(deliveries[0].error.as_deref().unwrap().contains("blocked"), "{deliveries:?}");
    let letters = list_dead_letters(&servers.broker.nats, Some("notify"), 10).await.unwrap();
    assert_eq!(letters.len(), 1);
}

#[tokio::test]
async fn a_refused_bot_is_tried_by_one_chat_and_holds_back_all() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut config = servers.config("probe_after_seconds = [600]", "");
    let ops = config.destinations["ops"].clone();
    for (name, chat_id) in [("more", -1002), ("most", -1003)] {
        let mut other = ops.clone();
        if let crypto_intel_notify::Destination::Telegram(telegram) = &mut other {
            telegram.chat_id = chat_id;
        }
        config.destinations.insert(name.to_owned(), other);
    }
    servers.chat.refuse_other_tokens("123:another");
    let role = servers.notify(config).await;
    servers.publish(alert(1)).await;
    eventually(async || role.metric("crypto_intel_notify_closed", &["ops"]) == 1.0).await;
    for number in 2..6 {
        servers
            .publish(Alert { routes: vec!["more".into(), "most".into()], ..alert(number) })
            .await;
    }
    eventually(async || {
        let waits = |probe| role.detail(probe).contains("nothing can be sent for");
        waits("notify.more") && waits("notify.most")
    })
    .await;
    assert_eq!(servers.chat.requests(), 1);
    servers.no_violations();
}
