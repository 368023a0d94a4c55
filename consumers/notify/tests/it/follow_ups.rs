//! What follows a message changes it, and rings where that matters.

use alloy_primitives::B256;
use crypto_intel_notify::Config;
use crypto_intel_sandbox::{
    ChatLimits,
    chat::{ChatFault, ChatMessage, ChatService},
};
use crypto_intel_schemas::{Alert, AlertState, DeliveryState, Labels, Severity};
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

fn fired() -> Alert {
    Alert { severity: Severity::Warning, block_hash: Some(B256::repeat_byte(1)), ..alert(1) }
}

fn corrected(n: u32, line: &str) -> Alert {
    Alert { state: AlertState::Corrected, n, lines: vec![line.into()], ..fired() }
}

fn to_both(alert: Alert) -> Alert {
    Alert { routes: vec!["ops".into(), "desk".into()], ..alert }
}

fn messages(servers: &Servers, destination: &str) -> Vec<ChatMessage> {
    let all = servers.chat.messages().into_iter();
    all.filter(|message| message.destination == destination).collect()
}

#[tokio::test]
async fn an_end_changes_the_first_message_and_rings_nowhere() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", "")).await;
    servers.publish(to_both(fired())).await;
    servers.ended(2).await;
    servers.publish(to_both(Alert { state: AlertState::Resolved, n: 2, ..fired() })).await;
    let ended = servers.ended(4).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    for destination in ["-1001", "42"] {
        let messages = messages(&servers, destination);
        assert_eq!((messages.len(), messages[0].edits), (1, 1), "{messages:#?}");
        let text = &messages[0].text;
        assert!(text.starts_with('✅') && text.contains("from 0x28c6…1d60"), "{text}");
        let last = ended.iter().filter(|one| one.delivery.contains("resolved"));
        assert!(last.clone().count() == 2);
    }
    servers.no_violations();
}

#[tokio::test]
async fn an_embed_keeps_its_fields_and_time_when_it_is_changed() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", "")).await;
    let labels = Labels::from([("chain", "base")]);
    let fired = Alert { labels, event_at_us: 1_764_424_800_000_000, ..to_both(fired()) };
    servers.publish(fired.clone()).await;
    servers.ended(2).await;
    let embed = || {
        let body = messages(&servers, "42").remove(0).source;
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["embeds"][0].clone()
    };
    let first = embed();
    servers.publish(Alert { state: AlertState::Resolved, n: 2, ..fired }).await;
    servers.ended(4).await;
    let changed = embed();
    assert_eq!(changed["fields"], first["fields"]);
    assert_eq!(changed["fields"][0]["value"], "base");
    assert_eq!(changed["timestamp"], "2025-11-29T14:00:00Z");
    assert_ne!(changed["color"], first["color"]);
    servers.no_violations();
}

#[tokio::test]
async fn what_is_gone_changes_the_message_and_is_also_said_below_it() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", "")).await;
    servers.publish(to_both(fired())).await;
    let moved = Alert {
        block_hash: Some(B256::repeat_byte(2)),
        ..corrected(2, "Moved to block 7 after a reorganisation, was in block 5.")
    };
    servers.publish(to_both(moved.clone())).await;
    servers.ended(4).await;
    assert_eq!(messages(&servers, "-1001").len(), 1, "a move does not ring");
    let gone =
        Alert { n: 3, lines: vec!["No longer on chain: block 7 was replaced.".into()], ..moved };
    servers.publish(to_both(gone)).await;
    servers.ended(6).await;
    for destination in ["-1001", "42"] {
        let messages = messages(&servers, destination);
        assert_eq!((messages.len(), messages[0].edits), (2, 2), "{messages:#?}");
        assert!(messages.iter().all(|one| one.text.contains("No longer on chain")));
    }
    let telegram = messages(&servers, "-1001");
    assert_eq!(telegram[1].reply_to, Some(telegram[0].message_id.clone()));
    servers.no_violations();
}

#[tokio::test]
async fn a_higher_severity_rings_and_overtakes_what_waits() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.inject(Some(ChatService::Telegram), ChatFault::ServerError, 1);
    let role = servers.notify(servers.config("timeout_ms = 500", "")).await;
    servers.publish(Alert { severity: Severity::Info, ..alert(9) }).await;
    // The lane of what is not critical waits after its first failure.
    let failed = || role.metric("crypto_intel_notify_attempts_total", &["ops", "uncertain"]);
    eventually(async || failed() == 1.0).await;
    servers.publish(fired()).await;
    let raised = Alert { severity: Severity::Critical, ..corrected(2, "Now worth $90M") };
    servers.publish(raised).await;
    let ended = servers.ended(3).await;
    let texts = servers.texts("-1001");
    assert!(texts[0].contains("Now worth $90M"), "{texts:#?}");
    assert_eq!(texts.iter().filter(|text| text.contains("C0001")).count(), 1, "{texts:#?}");
    assert!(texts.iter().any(|text| text.contains("C0009")), "{texts:#?}");
    let own: Vec<_> = ended.iter().filter(|one| one.alert == "key-1").collect();
    assert!(own.iter().all(|one| one.state == DeliveryState::Sent), "{own:#?}");
    assert_eq!(own[0].message_id, own[1].message_id, "the later word is what told both");
    assert_eq!(role.metric("crypto_intel_notify_deliveries_total", &["ops", "sent"]), 2.0);
    servers.no_violations();
}

#[tokio::test]
async fn a_message_that_is_gone_is_told_anew_and_then_changed() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", "")).await;
    servers.publish(fired()).await;
    servers.ended(1).await;
    let first = messages(&servers, "-1001").remove(0);
    servers.chat.delete_message(ChatService::Telegram, "-1001", &first.message_id);
    servers.publish(Alert { state: AlertState::Resolved, n: 2, ..fired() }).await;
    servers.ended(2).await;
    let second = messages(&servers, "-1001").remove(0);
    assert!(second.text.starts_with('✅') && second.edits == 0, "{second:#?}");
    servers.publish(corrected(3, "No longer on chain")).await;
    servers.ended(3).await;
    let messages = messages(&servers, "-1001");
    assert_eq!((messages[0].edits, messages.len()), (1, 2), "{messages:#?}");
    servers.no_violations();
}

#[tokio::test]
async fn an_edit_of_unknown_end_is_done_again_without_a_mark() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let first = servers.notify(servers.config("timeout_ms = 500", "")).await;
    servers.publish(fired()).await;
    servers.ended(1).await;
    servers.chat.black_hole(true);
    servers.publish(Alert { state: AlertState::Resolved, n: 2, ..fired() }).await;
    let tried = || first.metric("crypto_intel_notify_attempts_total", &["ops", "uncertain"]);
    eventually(async || tried() >= 1.0).await;
    first.kill().await;
    servers.chat.black_hole(false);
    let _second = servers.notify(servers.config("timeout_ms = 500", "")).await;
    let ended = servers.ended(2).await;
    assert_eq!(ended[1].state, DeliveryState::Sent, "{ended:#?}");
    let messages = messages(&servers, "-1001");
    assert!(messages.len() == 1 && !messages[0].text.contains('↻'), "{messages:#?}");
}

#[tokio::test]
async fn a_bot_of_slack_changes_its_message_and_its_webhook_says_it_below() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let limits = "limits = [{ messages = 100, per_ms = 1000 }]";
    let config: Config = toml::from_str(&format!(
        "[destinations.bot]\nchannel = \"slack\"\ntoken = \"xoxb-1\"\nchannel_id = \"C01\"\napi_url = \"{}/api\"\npolicy = {{ {limits} }}\n\
         [destinations.hook]\nchannel = \"slack\"\nwebhook_url = \"{}\"\npolicy = {{ {limits} }}",
        servers.chat.url(),
        servers.chat.slack_webhook_url("B1")
    ))
    .unwrap();
    let _role = servers.notify(config).await;
    let routes = || vec!["bot".to_owned(), "hook".to_owned()];
    servers.publish(Alert { routes: routes(), ..fired() }).await;
    servers.publish(Alert { routes: routes(), ..corrected(2, "No longer on chain") }).await;
    servers.ended(4).await;
    let bot = messages(&servers, "C01");
    assert_eq!((bot.len(), bot[0].edits), (2, 1), "{bot:#?}");
    assert_eq!(bot[1].reply_to, Some(bot[0].message_id.clone()));
    let hook = messages(&servers, "B1");
    assert_eq!((hook.len(), hook[0].edits), (2, 0), "{hook:#?}");
    servers.no_violations();
}
