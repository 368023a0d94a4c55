use crypto_intel_nats::{OutMessage, list_dead_letters};
use crypto_intel_sandbox::{
    ChatLimits,
    chat::{ChatFault, ChatService},
};
use crypto_intel_schemas::{Alert, DeliveryState, Severity};
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

#[tokio::test]
async fn a_429_is_waited_out_and_nothing_is_lost() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 1 },
        2,
    );
    servers.chat.inject(
        Some(ChatService::Discord),
        ChatFault::TooManyRequests { retry_after: 1 },
        1,
    );
    let _role = servers.notify(servers.config("", "")).await;
    for number in 0..3 {
        let routes = vec!["ops".into(), "desk".into()];
        servers.publish(Alert { routes, ..alert(number) }).await;
    }
    let ended = servers.ended(6).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    let attempts = |destination: &str| -> u32 {
        let own = ended.iter().filter(|delivery| delivery.destination == destination);
        own.map(|delivery| delivery.attempts).sum()
    };
    assert_eq!((attempts("ops"), attempts("desk")), (5, 4));
    assert!(servers.texts("-1001")[0].contains("C0000"), "order is kept");
    servers.no_violations();
}

#[tokio::test]
async fn one_dead_destination_holds_up_no_other() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 600 },
        1,
    );
    let _role = servers.notify(servers.config("", "")).await;
    for number in 0..5 {
        let routes = vec!["ops".into(), "desk".into()];
        servers.publish(Alert { routes, ..alert(number) }).await;
    }
    let ended = servers.ended(5).await;
    assert!(ended.iter().all(|delivery| delivery.destination == "desk"));
}

#[tokio::test]
async fn an_unknown_destination_is_reported_and_the_others_are_served() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", "")).await;
    servers.publish(Alert { routes: vec!["opps".into(), "ops".into()], ..alert(1) }).await;
    let ended = servers.ended(2).await;
    let dead = ended.iter().find(|delivery| delivery.destination == "opps").unwrap();
    assert_eq!(dead.state, DeliveryState::Dead);
    assert!(dead.error.as_deref().unwrap().contains("desk, ops"), "{dead:?}");
    assert_eq!(servers.texts("-1001").len(), 1);
}

#[tokio::test]
async fn an_undecodable_message_becomes_a_dead_letter_and_nothing_stops() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", "")).await;
    let publish = async |subject: &str| {
        servers.broker.nats.publish(OutMessage::new(subject, "not msgpack")).await.unwrap();
    };
    publish("alert.info.x.y.fired.1").await;
    publish("notify.out.ops").await;
    servers.publish(alert(1)).await;
    servers.ended(1).await;
    eventually(async || {
        list_dead_letters(&servers.broker.nats, Some("notify"), 10).await.unwrap().len() == 2
    })
    .await;
}

#[tokio::test]
async fn a_server_error_is_uncertain() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(None, ChatFault::ServerErrorAfterAccept, 1);
    servers.chat.inject(None, ChatFault::ServerError, 1);
    let _role = servers.notify(servers.config("", "")).await;
    servers.publish(alert(1)).await;
    let ended = servers.ended(1).await;
    assert_eq!(ended[0].state, DeliveryState::Repeated);
    assert_eq!(ended[0].attempts, 3);
    let texts = servers.texts("-1001");
    assert_eq!(texts.len(), 2);
    assert!(!texts[0].contains('↻') && texts[1].contains("↻ possible repeat of #C0001"));
}

#[tokio::test]
async fn in_doubt_policy_decides_by_severity() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.reset_after_accept(2);
    let _role = servers.notify(servers.config("after_uncertain = { info = \"skip\" }", "")).await;
    servers.publish(Alert { severity: Severity::Info, ..alert(1) }).await;
    servers.publish(alert(2)).await;
    let ended = servers.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Uncertain);
    assert_eq!(ended[1].state, DeliveryState::Repeated);
    let texts = servers.texts("-1001");
    let marked = texts.iter().filter(|text| text.contains('↻')).count();
    assert_eq!((texts.len(), marked), (3, 1), "{texts:#?}");
}

#[tokio::test]
async fn a_global_limit_of_discord_holds_every_webhook() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut config = servers.config("", "");
    let mut other = config.destinations["desk"].clone();
    if let crypto_intel_notify::Destination::Discord(discord) = &mut other {
        let hook = servers.chat.discord_webhook_url("43", "hook-token");
        discord.webhook_url = crypto_intel_service::Secret::new(hook);
    }
    config.destinations.insert("room".to_owned(), other);
    let fault = ChatFault::GlobalTooManyRequests { retry_after: 2 };
    servers.chat.inject(Some(ChatService::Discord), fault, 1);
    let role = servers.notify(config).await;
    servers.publish(Alert { routes: vec!["desk".into()], ..alert(1) }).await;
    eventually(async || {
        role.metric("crypto_intel_notify_attempts_total", &["desk", "wait"]) == 1.0
    })
    .await;
    servers.publish(Alert { routes: vec!["room".into()], ..alert(2) }).await;
    let ended = servers.ended(2).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    servers.no_violations();
}

#[tokio::test]
async fn while_a_service_fails_the_probe_says_how_many_wait_and_why() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(Some(ChatService::Telegram), ChatFault::ServerError, 1);
    servers.chat.inject(
        Some(ChatService::Telegram),
        ChatFault::TooManyRequests { retry_after: 600 },
        1,
    );
    let role = servers.notify(servers.config("unhealthy_after_seconds = 1", "")).await;
    for number in 0..5 {
        servers.publish(alert(number)).await;
    }
    eventually(async || {
        let detail = role.detail("notify.ops");
        detail.contains("5 waiting, the oldest for") && detail.contains("Too Many Requests")
    })
    .await;
    eventually(async || !role.is_healthy("notify.ops")).await;
}

#[tokio::test]
async fn the_remaining_requests_that_discord_reports_are_not_exceeded() {
    let servers = Servers::start(ChatLimits::Strict).await;
    let faster_than_discord = "{ limits = [{ messages = 100, per_ms = 1000 }], digest_above = 0 }";
    let _role = servers.notify(servers.strict_config("{}", faster_than_discord)).await;
    for number in 0..12 {
        servers.publish(Alert { routes: vec!["desk".into()], ..alert(number) }).await;
    }
    let ended = servers.ended(12).await;
    assert!(ended.iter().all(|delivery| delivery.attempts == 1), "{ended:#?}");
    servers.no_violations();
}
