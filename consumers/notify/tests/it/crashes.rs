use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, DeliveryState, Severity, subjects};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{SeededRandom, eventually};

use crate::harness::{Servers, alert};

/// The bucket's key of a message to `ops`.
fn record_key(number: usize) -> String {
    format!("to.ops.{}", subjects::token(&format!("key-{number}:fired:1:ops")))
}

#[tokio::test]
async fn a_crash_between_attempt_and_result_makes_one_marked_repeat() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.black_hole(true);
    let first = servers.notify(servers.config("", "")).await;
    servers.publish(alert(1)).await;
    servers.publish(alert(2)).await;
    let records = servers.records().await;
    eventually(async || {
        let entry = records.get(&record_key(1)).await.unwrap();
        entry.is_some_and(|entry| String::from_utf8_lossy(&entry.value).contains("\"attempt\""))
    })
    .await;
    first.kill().await;
    servers.chat.black_hole(false);
    let _second = servers.notify(servers.config("", "")).await;
    let ended = servers.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Repeated);
    assert_eq!(ended[1].state, DeliveryState::Sent);
    let texts = servers.texts("-1001");
    assert_eq!(texts.len(), 2, "{texts:#?}");
    assert!(texts[0].contains("↻ possible repeat of #C0001"), "{texts:#?}");
    assert!(texts[1].contains("C0002") && !texts[1].contains('↻'), "{texts:#?}");
}

#[tokio::test]
async fn a_crash_after_the_result_sends_nothing_again_and_reports_it() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let record = serde_json::json!({
        "delivery": "key-1:fired:1:ops", "step": "done", "state": "sent", "message_id": "77",
        "done_at_us": now_us(), "attempts": 1, "owner": "gone", "at_us": now_us(),
    });
    servers.records().await.create(&record_key(1), record.to_string()).await.unwrap();
    let _role = servers.notify(servers.config("", "")).await;
    servers.publish(alert(1)).await;
    servers.publish(alert(2)).await;
    let ended = servers.ended(2).await;
    assert_eq!(ended[0].message_id.as_deref(), Some("77"));
    assert_eq!(servers.texts("-1001").len(), 1, "only the second is sent");
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_and_mark_every_repeat() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let mut random = SeededRandom::from_environment();
    let total = 60;
    let mut published = 0;
    let mut role = servers.notify(servers.config("timeout_ms = 500", "")).await;
    for _ in 0..4 {
        for _ in 0..15 {
            servers.publish(alert(published)).await;
            published += 1;
        }
        random.pause_ms(0..100).await;
        role.kill().await;
        role = servers.notify(servers.config("timeout_ms = 500", "")).await;
    }
    let mut ended = servers.ended(total).await;
    ended.sort_by(|a, b| a.delivery.cmp(&b.delivery));
    ended.dedup_by(|a, b| a.delivery == b.delivery);
    assert_eq!(ended.len(), total, "each ends once");
    let texts = servers.texts("-1001");
    for number in 0..total {
        let code = format!("C{number:04}");
        let copies: Vec<&String> = texts.iter().filter(|text| text.contains(&code)).collect();
        assert!(!copies.is_empty(), "{code} is lost");
        assert!(copies.iter().skip(1).all(|text| text.contains('↻')), "{copies:#?}");
    }
    servers.no_violations();
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let first = servers.notify(servers.config("", "")).await;
    for number in 0..40 {
        servers.publish(alert(number)).await;
    }
    eventually(async || servers.texts("-1001").len() >= 5).await;
    first.stop().await;
    let _second = servers.notify(servers.config("", "")).await;
    let ended = servers.ended(40).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    assert_eq!(servers.texts("-1001").len(), 40);
}

#[tokio::test]
async fn a_broker_restart_delays_messages_and_loses_none() {
    let mut servers = Servers::start(ChatLimits::Relaxed).await;
    let role = servers.notify(servers.config("", "")).await;
    for number in 0..30 {
        servers.publish(alert(number)).await;
    }
    eventually(async || servers.texts("-1001").len() >= 5).await;
    servers.broker.server.kill().unwrap();
    servers.broker.server.start_again().await.unwrap();
    let ended = servers.ended(30).await;
    let mut known: Vec<&str> = ended.iter().map(|delivery| delivery.delivery.as_str()).collect();
    known.dedup();
    assert_eq!(known.len(), 30);
    assert_eq!(
        servers.texts("-1001").len(),
        30,
        "an attempt's result is kept until it can be written"
    );
    role.stop().await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_digest_repeats_it_whole_and_marked() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    // The first message waits until all have arrived; the next one finds a backlog.
    servers.chat.reply_429(1, 1);
    let policy = "{ limits = [{ messages = 1, per_ms = 1500 }], timeout_ms = 1000 }";
    let first = servers.notify(servers.strict_config(policy, "{}")).await;
    for number in 0..30 {
        servers.publish(Alert { severity: Severity::Warning, ..alert(number) }).await;
    }
    eventually(async || servers.texts("-1001").len() == 1).await;
    servers.chat.black_hole(true);
    let records = servers.records().await;
    eventually(async || {
        let entries = records.entries("to.ops.").await.unwrap();
        entries.iter().any(|(_, entry)| String::from_utf8_lossy(&entry.value).contains("folded"))
    })
    .await;
    first.kill().await;
    servers.chat.black_hole(false);
    let _second = servers.notify(servers.strict_config(policy, "{}")).await;
    let ended = servers.ended(30).await;
    let repeated = ended.iter().filter(|delivery| delivery.state == DeliveryState::Repeated);
    assert!(repeated.count() >= 20, "{ended:#?}");
    let all = servers.texts("-1001").join("\n");
    for number in 0..30 {
        assert!(all.contains(&format!("#C{number:04}")), "{number} is lost");
    }
    assert!(all.contains("↻ possible repeat"), "{all}");
}
