//! Buttons below the messages of a Telegram bot.

use crypto_intel_nats::Bucket;
use crypto_intel_notify::{Config, Destination, Silences};
use crypto_intel_sandbox::{ChatLimits, chat::ChatMessage};
use crypto_intel_schemas::{Acknowledgement, Alert, AlertState, Event, Labels, Severity};
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

const ANA: i64 = 77;

fn with_buttons(servers: &Servers) -> Config {
    let mut config = servers.config("language = \"es\"", "");
    if let Some(Destination::Telegram(telegram)) = config.destinations.get_mut("ops") {
        telegram.allowed_users = vec![ANA];
    }
    config
}

fn first(servers: &Servers) -> ChatMessage {
    servers.chat.messages().into_iter().next().unwrap()
}

fn press(servers: &Servers, user: i64, button: usize) {
    let message = first(servers);
    let data = message.buttons[button].1.clone();
    servers.chat.press(-1001, &message.message_id, user, "Ana", &data);
}

#[tokio::test]
async fn a_press_acknowledges_once_and_the_message_says_who_did() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(with_buttons(&servers)).await;
    servers.publish(Alert { severity: Severity::Warning, ..alert(1) }).await;
    servers.ended(1).await;
    let texts: Vec<String> = first(&servers).buttons.into_iter().map(|(text, _)| text).collect();
    assert_eq!(texts, ["✅ Recibida", "🔕 Silenciar 1 h"]);
    press(&servers, 5, 0);
    eventually(async || servers.chat.answers().len() == 1).await;
    assert!(servers.chat.answers()[0].contains("allowed_users"));
    press(&servers, ANA, 0);
    eventually(async || servers.chat.answers().len() == 2).await;
    assert_eq!(servers.chat.answers()[1], "✅ la tiene Ana");
    let routing = servers.broker.nats.kv(Bucket::Routing).await.unwrap();
    let entry = routing.get(&Acknowledgement::key("key-1")).await.unwrap().unwrap();
    let acknowledged: Acknowledgement = serde_json::from_slice(&entry.value).unwrap();
    assert_eq!(acknowledged.by, "Ana");
    // As through the API and by commands.
    let told = servers.broker.messages("AUDIT").await;
    let [Event::Audit(told)] =
        &told.iter().map(|one| Event::decode(&one.payload).unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((told.actor.as_str(), told.action.as_str()), ("Ana", "alert.acknowledge"));
    assert_eq!((told.target.as_deref(), told.origin.as_str()), (Some("key-1"), "ops 77"));
    eventually(async || first(&servers).buttons[0].0 == "✅ la tiene Ana").await;
    // A later change of the message does not take that away.
    let gone = vec!["It no longer meets the rule.".to_owned()];
    let corrected = Alert { state: AlertState::Corrected, n: 2, lines: gone, ..alert(1) };
    let title = "2 USDC".to_owned();
    servers.publish(Alert { severity: Severity::Warning, title, ..corrected }).await;
    servers.ended(2).await;
    assert_eq!(first(&servers).edits, 1);
    assert_eq!(first(&servers).buttons[0].0, "✅ la tiene Ana");
    servers.no_violations();
}

#[tokio::test]
async fn a_press_silences_what_the_alert_tells_of_for_an_hour() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let first_role = servers.notify(with_buttons(&servers)).await;
    let labels = Labels::from([("token", "USDC")]);
    servers.publish(Alert { severity: Severity::Warning, labels, ..alert(1) }).await;
    servers.ended(1).await;
    press(&servers, ANA, 1);
    eventually(async || servers.chat.answers().len() == 1).await;
    let silences = Silences::open(&servers.broker.nats).await.unwrap();
    let made = silences.list().await.unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].matchers, ["rule=large-transfer", "token=USDC"]);
    assert_eq!((made[0].ends_us - made[0].starts_us) / 1_000_000, 3_600);
    assert_eq!(made[0].author, "Ana");
    assert!(servers.chat.answers()[0].contains(&made[0].id));
    first_role.stop().await;
    // What was confirmed does not come again.
    let role = servers.notify(with_buttons(&servers)).await;
    role.until_healthy("notify.buttons.ops").await;
    press(&servers, ANA, 0);
    eventually(async || servers.chat.answers().len() == 2).await;
    assert_eq!(silences.list().await.unwrap().len(), 1);
    servers.no_violations();
}

#[tokio::test]
async fn of_two_instances_and_two_chats_of_a_bot_one_asks() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let config = || {
        let mut config = with_buttons(&servers);
        let mut other = config.destinations["ops"].clone();
        if let Destination::Telegram(telegram) = &mut other {
            telegram.chat_id = -1002;
        }
        config.destinations.insert("more".to_owned(), other);
        config
    };
    let _first = servers.notify(config()).await;
    let _second = servers.notify(config()).await;
    servers.publish(Alert { routes: vec!["more".into()], ..alert(1) }).await;
    servers.ended(1).await;
    let message = first(&servers);
    let data = message.buttons[0].1.clone();
    servers.chat.press(-1002, &message.message_id, ANA, "Ana", &data);
    eventually(async || servers.chat.answers().len() == 1).await;
    servers.no_violations();
}

#[tokio::test]
async fn of_two_topics_of_a_chat_the_pressed_one_counts() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut config = with_buttons(&servers);
    for (name, topic) in [("ops", 7), ("more", 8)] {
        let mut destination = config.destinations["ops"].clone();
        if let Destination::Telegram(telegram) = &mut destination {
            telegram.message_thread_id = Some(topic);
        }
        config.destinations.insert(name.to_owned(), destination);
    }
    let _role = servers.notify(config).await;
    servers.publish(Alert { routes: vec!["more".into()], ..alert(1) }).await;
    servers.publish(Alert { routes: vec!["ops".into()], ..alert(2) }).await;
    servers.ended(2).await;
    for message in servers.chat.messages() {
        servers.chat.press(-1001, &message.message_id, ANA, "Ana", &message.buttons[1].1);
    }
    eventually(async || servers.chat.answers().len() == 2).await;
    let answers = servers.chat.answers();
    assert!(
        answers.iter().all(|answer| answer.starts_with("🔕 silenciada por Ana")),
        "{answers:?}"
    );
    let silences = Silences::open(&servers.broker.nats).await.unwrap();
    let made = silences.list().await.unwrap();
    assert_eq!(made.len(), 2, "each button knows its alert: {made:#?}");
    servers.no_violations();
}

#[tokio::test]
async fn buttons_work_on_in_a_group_that_was_upgraded() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.upgrade_group(-1001, -100_777);
    let first_role = servers.notify(with_buttons(&servers)).await;
    servers.publish(alert(1)).await;
    servers.ended(1).await;
    let message = first(&servers);
    assert_eq!(message.destination, "-100777");
    let press = |number: usize| {
        let data = &message.buttons[number].1;
        servers.chat.press(-100_777, &message.message_id, ANA, "Ana", data);
    };
    press(0);
    eventually(async || servers.chat.answers().len() == 1).await;
    assert_eq!(servers.chat.answers()[0], "✅ la tiene Ana");
    // Also for an instance that has not seen it move.
    first_role.stop().await;
    let _role = servers.notify(with_buttons(&servers)).await;
    press(1);
    eventually(async || servers.chat.answers().len() == 2).await;
    assert!(servers.chat.answers()[1].starts_with("🔕 silenciada por Ana"));
    servers.no_violations();
}
