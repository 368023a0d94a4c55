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
async fn a_blocked_chat_ends_its_messages_and_the_fallback_gets_them() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let blocked = "Forbidden: bot was blocked by the user";
    rig.chat.close_destination(ChatService::Telegram, "-1001", 403, blocked);
    let role = rig.run(rig.config("fallback = \"desk\"", "")).await;
    for number in 0..3 {
        rig.publish(alert(number)).await;
    }
    let ended = rig.ended(6).await;
    let states = |destination: &str, state: DeliveryState| {
        let of = |delivery: &&crypto_intel_schemas::Delivery| {
            delivery.destination == destination && delivery.state == state
        };
        ended.iter().filter(of).count()
    };
    assert_eq!(states("ops", DeliveryState::Dead), 3);
    assert_eq!(states("desk", DeliveryState::Sent), 3);
    assert!(!role.is_healthy("notify.ops") && role.is_healthy("notify.desk"));
    let letters = list_dead_letters(&rig.admin, Some("notify"), 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    assert!(letters[0].error.contains("blocked"), "{}", letters[0].error);
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
