//! A destination that refuses everything: its messages wait, its fallback hears, and all is sent
//! once somebody mended it.

use crypto_intel_nats::list_dead_letters;
use crypto_intel_sandbox::{ChatLimits, chat::ChatService};
use crypto_intel_schemas::{Alert, Delivery, DeliveryState};

use crate::rig::{Rig, alert, eventually};

const CLOSED: &str = "fallback = \"desk\", probe_after_seconds = [1, 1, 2]";

fn ended(deliveries: &[Delivery], destination: &str, state: DeliveryState) -> usize {
    let of = |delivery: &&Delivery| delivery.destination == destination && delivery.state == state;
    deliveries.iter().filter(of).count()
}

fn block(rig: &Rig) {
    let blocked = "Forbidden: bot was blocked by the user";
    rig.chat.close_destination(ChatService::Telegram, "-1001", 403, blocked);
}

#[tokio::test]
async fn a_refusal_for_good_loses_nothing_and_the_fallback_hears_at_once() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    block(&rig);
    let role = rig.run(rig.config(CLOSED, "")).await;
    for number in 0..4 {
        rig.publish(alert(number)).await;
    }
    eventually("the fallback hears", async || rig.texts("42").len() == 4).await;
    let told = rig.texts("42")[0].clone();
    assert!(
        told.contains("for ops, which takes nothing now") && told.contains("blocked"),
        "{told}"
    );
    eventually("the probe says so", async || {
        let detail = role.detail("notify.ops");
        detail.contains("4 waiting") && detail.contains("invite the bot")
    })
    .await;
    assert!(!role.is_healthy("notify.ops") && role.is_healthy("notify.desk"));
    assert_eq!(role.gauge("crypto_intel_notify_closed", &["ops"]), 1);
    assert_eq!(role.count("crypto_intel_notify_routed_total", &["desk"]), 4);
    rig.chat.reopen_destination(ChatService::Telegram, "-1001");
    let deliveries = rig.ended(8).await;
    assert_eq!(ended(&deliveries, "ops", DeliveryState::Sent), 4, "{deliveries:#?}");
    assert_eq!(ended(&deliveries, "desk", DeliveryState::Sent), 4);
    let texts = rig.texts("-1001");
    assert!((0..4).all(|number| texts[number].contains(&format!("C000{number}"))), "{texts:#?}");
    eventually("it is well again", async || role.is_healthy("notify.ops")).await;
    assert_eq!(role.gauge("crypto_intel_notify_closed", &["ops"]), 0);
    assert!(list_dead_letters(&rig.admin, Some("notify"), 10).await.unwrap().is_empty());
    rig.no_violations();
}

#[tokio::test]
async fn a_restart_neither_hurries_nor_tells_the_fallback_twice() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    block(&rig);
    let config = || rig.config("fallback = \"desk\", probe_after_seconds = [600]", "");
    let first = rig.run(config()).await;
    rig.publish(alert(1)).await;
    rig.ended(1).await;
    first.kill().await;
    let requests = rig.chat.requests();
    let second = rig.run(config()).await;
    rig.publish(alert(2)).await;
    rig.ended(2).await;
    assert!(!second.is_healthy("notify.ops"));
    let to_desk = rig.chat.requests() - requests;
    assert!(to_desk <= 2, "ops is left alone for ten minutes: {to_desk} requests");
    second.stop().await;
    // Another address is not closed.
    rig.chat.reopen_destination(ChatService::Telegram, "-1001");
    let mut moved = config();
    if let Some(crypto_intel_notify::Destination::Telegram(telegram)) =
        moved.destinations.get_mut("ops")
    {
        telegram.chat_id = -1002;
    }
    let _third = rig.run(moved).await;
    eventually("all that waited", async || rig.texts("-1002").len() == 2).await;
    assert_eq!(rig.texts("42").len(), 2);
    rig.no_violations();
}

#[tokio::test]
async fn what_waits_too_long_for_a_closed_destination_is_a_dead_letter() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    block(&rig);
    let policy = "max_age_seconds = 2, probe_after_seconds = [1]";
    let _role = rig.run(rig.config(policy, "")).await;
    rig.publish(alert(1)).await;
    let deliveries = rig.ended(1).await;
    assert_eq!(deliveries[0].state, DeliveryState::Dead);
    assert!(deliveries[0].error.as_deref().unwrap().contains("blocked"), "{deliveries:?}");
    let letters = list_dead_letters(&rig.admin, Some("notify"), 10).await.unwrap();
    assert_eq!(letters.len(), 1);
}

#[tokio::test]
async fn a_refused_bot_is_told_of_by_one_chat_and_kept_from_all() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let mut config = rig.config("probe_after_seconds = [600]", "");
    let ops = config.destinations["ops"].clone();
    for (name, chat_id) in [("more", -1002), ("most", -1003)] {
        let mut other = ops.clone();
        if let crypto_intel_notify::Destination::Telegram(telegram) = &mut other {
            telegram.chat_id = chat_id;
        }
        config.destinations.insert(name.to_owned(), other);
    }
    rig.chat.refuse_other_tokens("123:another");
    let role = rig.run(config).await;
    rig.publish(alert(1)).await;
    eventually("the bot is refused", async || {
        role.gauge("crypto_intel_notify_closed", &["ops"]) == 1
    })
    .await;
    for number in 2..6 {
        rig.publish(Alert { routes: vec!["more".into(), "most".into()], ..alert(number) }).await;
    }
    eventually("its other chats wait", async || {
        let waits = |probe| role.detail(probe).contains("nothing can be sent for");
        waits("notify.more") && waits("notify.most")
    })
    .await;
    assert_eq!(rig.chat.requests(), 1);
    rig.no_violations();
}
