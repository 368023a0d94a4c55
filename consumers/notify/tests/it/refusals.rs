use crypto_intel_nats::{OutMessage, list_dead_letters};
use crypto_intel_sandbox::{
    ChatLimits,
    chat::{ChatFault, ChatService},
};
use crypto_intel_schemas::{Alert, DeliveryState, Severity};

use crate::rig::{Rig, alert, eventually};

#[tokio::test]
async fn a_429_is_waited_for_and_nothing_is_lost() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    rig.chat.inject(Some(ChatService::Telegram), ChatFault::TooManyRequests { retry_after: 1 }, 2);
    rig.chat.inject(Some(ChatService::Discord), ChatFault::TooManyRequests { retry_after: 1 }, 1);
    let _role = rig.run(rig.config("", "")).await;
    for number in 0..3 {
        let routes = vec!["ops".into(), "desk".into()];
        rig.publish(Alert { routes, ..alert(number) }).await;
    }
    let ended = rig.ended(6).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    let attempts = |destination: &str| -> u32 {
        let own = ended.iter().filter(|delivery| delivery.destination == destination);
        own.map(|delivery| delivery.attempts).sum()
    };
    assert_eq!((attempts("ops"), attempts("desk")), (5, 4));
    assert!(rig.texts("-1001")[0].contains("C0000"), "order is kept");
    rig.no_violations();
}

#[tokio::test]
async fn one_dead_destination_holds_up_no_other() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    rig.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 600 },
        1,
    );
    let _role = rig.run(rig.config("", "")).await;
    for number in 0..5 {
        let routes = vec!["ops".into(), "desk".into()];
        rig.publish(Alert { routes, ..alert(number) }).await;
    }
    let ended = rig.ended(5).await;
    assert!(ended.iter().all(|delivery| delivery.destination == "desk"));
}

#[tokio::test]
async fn an_unknown_destination_is_told_and_kept() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let _role = rig.run(rig.config("", "")).await;
    rig.publish(Alert { routes: vec!["opps".into(), "ops".into()], ..alert(1) }).await;
    let ended = rig.ended(2).await;
    let dead = ended.iter().find(|delivery| delivery.destination == "opps").unwrap();
    assert_eq!(dead.state, DeliveryState::Dead);
    assert!(dead.error.as_deref().unwrap().contains("desk, ops"), "{dead:?}");
    assert_eq!(rig.texts("-1001").len(), 1);
}

#[tokio::test]
async fn what_is_no_alert_is_kept_as_a_dead_letter_and_nothing_stops() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let _role = rig.run(rig.config("", "")).await;
    let publish = async |subject: &str| {
        rig.admin.publish(OutMessage::new(subject, "not msgpack")).await.unwrap();
    };
    publish("alert.info.x.y.fired.1").await;
    publish("notify.out.ops").await;
    rig.publish(alert(1)).await;
    rig.ended(1).await;
    eventually("two dead letters", async || {
        list_dead_letters(&rig.admin, Some("notify"), 10).await.unwrap().len() == 2
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_uncertain() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    rig.chat.inject(None, ChatFault::ServerErrorAfterAccept, 1);
    rig.chat.inject(None, ChatFault::ServerError, 1);
    let _role = rig.run(rig.config("", "")).await;
    rig.publish(alert(1)).await;
    let ended = rig.ended(1).await;
    assert_eq!(ended[0].state, DeliveryState::Repeated);
    assert_eq!(ended[0].attempts, 3);
    let texts = rig.texts("-1001");
    assert_eq!(texts.len(), 2);
    assert!(!texts[0].contains('↻') && texts[1].contains("↻ possible repeat of #C0001"));
}

#[tokio::test]
async fn in_doubt_policy_decides_by_severity() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    rig.chat.reset_after_accept(2);
    let _role = rig.run(rig.config("after_uncertain = { info = \"skip\" }", "")).await;
    rig.publish(Alert { severity: Severity::Info, ..alert(1) }).await;
    rig.publish(alert(2)).await;
    let ended = rig.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Uncertain);
    assert_eq!(ended[1].state, DeliveryState::Repeated);
    let texts = rig.texts("-1001");
    let marked = texts.iter().filter(|text| text.contains('↻')).count();
    assert_eq!((texts.len(), marked), (3, 1), "{texts:#?}");
}

#[tokio::test]
async fn a_wait_for_all_of_discord_holds_every_webhook() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let mut config = rig.config("", "");
    let mut other = config.destinations["desk"].clone();
    if let crypto_intel_notify::Destination::Discord(discord) = &mut other {
        let hook = rig.chat.discord_webhook_url("43", "hook-token");
        discord.webhook_url = crypto_intel_service::Secret::new(hook);
    }
    config.destinations.insert("room".to_owned(), other);
    let fault = ChatFault::GlobalTooManyRequests { retry_after: 2 };
    rig.chat.inject(Some(ChatService::Discord), fault, 1);
    let role = rig.run(config).await;
    rig.publish(Alert { routes: vec!["desk".into()], ..alert(1) }).await;
    eventually("the wait", async || {
        role.count("crypto_intel_notify_attempts_total", &["desk", "wait"]) == 1
    })
    .await;
    rig.publish(Alert { routes: vec!["room".into()], ..alert(2) }).await;
    let ended = rig.ended(2).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    rig.no_violations();
}

#[tokio::test]
async fn while_a_service_fails_the_probe_says_how_many_wait_and_why() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    rig.chat.inject(Some(ChatService::Telegram), ChatFault::ServerError, 1);
    rig.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 600 },
        1,
    );
    let role = rig.run(rig.config("unhealthy_after_seconds = 1", "")).await;
    for number in 0..5 {
        rig.publish(alert(number)).await;
    }
    eventually("the probe", async || {
        let detail = role.detail("notify.ops");
        detail.contains("5 waiting, the oldest for") && detail.contains("Too Many Requests")
    })
    .await;
    eventually("not ready", async || !role.is_healthy("notify.ops")).await;
}

#[tokio::test]
async fn what_discord_says_is_left_is_kept_before_it_refuses() {
    let rig = Rig::start(ChatLimits::Strict).await;
    let faster_than_discord = "{ limits = [{ messages = 100, per_ms = 1000 }], digest_above = 0 }";
    let _role = rig.run(rig.strict_config("{}", faster_than_discord)).await;
    for number in 0..12 {
        rig.publish(Alert { routes: vec!["desk".into()], ..alert(number) }).await;
    }
    let ended = rig.ended(12).await;
    assert!(ended.iter().all(|delivery| delivery.attempts == 1), "{ended:#?}");
    rig.no_violations();
}
