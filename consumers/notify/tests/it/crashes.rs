use std::time::Duration;

use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, DeliveryState, Severity, subjects};
use crypto_intel_service::now_us;

use crate::rig::{Rig, alert, eventually};

/// The bucket's key of a message to `ops`.
fn record_key(number: usize) -> String {
    format!("to.ops.{}", subjects::token(&format!("key-{number}:fired:1:ops")))
}

#[tokio::test]
async fn a_crash_between_attempt_and_result_makes_one_marked_repeat() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    rig.chat.black_hole(true);
    let first = rig.run(rig.config("", "")).await;
    rig.publish(alert(1)).await;
    rig.publish(alert(2)).await;
    let records = rig.records().await;
    eventually("the attempt's record", async || {
        let entry = records.get(&record_key(1)).await.unwrap();
        entry.is_some_and(|entry| String::from_utf8_lossy(&entry.value).contains("\"attempt\""))
    })
    .await;
    first.kill().await;
    rig.chat.black_hole(false);
    let _second = rig.run(rig.config("", "")).await;
    let ended = rig.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Repeated);
    assert_eq!(ended[1].state, DeliveryState::Sent);
    let texts = rig.texts("-1001");
    assert_eq!(texts.len(), 2, "{texts:#?}");
    assert!(texts[0].contains("↻ possible repeat of #C0001"), "{texts:#?}");
    assert!(texts[1].contains("C0002") && !texts[1].contains('↻'), "{texts:#?}");
}

#[tokio::test]
async fn a_crash_after_the_result_sends_nothing_again_and_tells_it() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let record = serde_json::json!({
        "delivery": "key-1:fired:1:ops", "step": "done", "state": "sent", "message_id": "77",
        "done_at_us": now_us(), "attempts": 1, "owner": "gone", "at_us": now_us(),
    });
    rig.records().await.create(&record_key(1), record.to_string()).await.unwrap();
    let _role = rig.run(rig.config("", "")).await;
    rig.publish(alert(1)).await;
    rig.publish(alert(2)).await;
    let ended = rig.ended(2).await;
    assert_eq!(ended[0].message_id.as_deref(), Some("77"));
    assert_eq!(rig.texts("-1001").len(), 1, "only the second is sent");
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_and_mark_every_second_copy() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let total = 60;
    let mut published = 0;
    let mut role = rig.run(rig.config("timeout_ms = 500", "")).await;
    for round in 0..4_u64 {
        for _ in 0..15 {
            rig.publish(alert(published)).await;
            published += 1;
        }
        // Not a wait for anything: the crash's moment, another one each round.
        tokio::time::sleep(Duration::from_millis(7 + 23 * round)).await;
        role.kill().await;
        role = rig.run(rig.config("timeout_ms = 500", "")).await;
    }
    let mut ended = rig.ended(total).await;
    ended.sort_by(|a, b| a.delivery.cmp(&b.delivery));
    ended.dedup_by(|a, b| a.delivery == b.delivery);
    assert_eq!(ended.len(), total, "each ends once");
    let texts = rig.texts("-1001");
    for number in 0..total {
        let code = format!("C{number:04}");
        let copies: Vec<&String> = texts.iter().filter(|text| text.contains(&code)).collect();
        assert!(!copies.is_empty(), "{code} is lost");
        assert!(copies.iter().skip(1).all(|text| text.contains('↻')), "{copies:#?}");
    }
    rig.no_violations();
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let first = rig.run(rig.config("", "")).await;
    for number in 0..40 {
        rig.publish(alert(number)).await;
    }
    eventually("some messages", async || rig.texts("-1001").len() >= 5).await;
    first.stop().await;
    let _second = rig.run(rig.config("", "")).await;
    let ended = rig.ended(40).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    assert_eq!(rig.texts("-1001").len(), 40);
}

#[tokio::test]
async fn a_broker_restart_delays_messages_and_loses_none() {
    let mut rig = Rig::start(ChatLimits::Relaxed).await;
    let role = rig.run(rig.config("", "")).await;
    for number in 0..30 {
        rig.publish(alert(number)).await;
    }
    eventually("some messages", async || rig.texts("-1001").len() >= 5).await;
    rig.server.kill().unwrap();
    rig.server.start_again().await.unwrap();
    let ended = rig.ended(30).await;
    let mut known: Vec<&str> = ended.iter().map(|delivery| delivery.delivery.as_str()).collect();
    known.dedup();
    assert_eq!(known.len(), 30);
    assert_eq!(rig.texts("-1001").len(), 30, "an attempt's result is kept until it can be written");
    role.stop().await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_digest_repeats_it_whole_and_marked() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    // The first message waits until all have come; the next one finds a queue.
    rig.chat.reply_429(1, 1);
    let policy = "{ limits = [{ messages = 1, per_ms = 1500 }], timeout_ms = 1000 }";
    let first = rig.run(rig.strict_config(policy, "{}")).await;
    for number in 0..30 {
        rig.publish(Alert { severity: Severity::Warning, ..alert(number) }).await;
    }
    eventually("the first message", async || rig.texts("-1001").len() == 1).await;
    rig.chat.black_hole(true);
    let records = rig.records().await;
    eventually("a digest's attempt", async || {
        let entries = records.entries("to.ops.").await.unwrap();
        entries.iter().any(|(_, entry)| String::from_utf8_lossy(&entry.value).contains("folded"))
    })
    .await;
    first.kill().await;
    rig.chat.black_hole(false);
    let _second = rig.run(rig.strict_config(policy, "{}")).await;
    let ended = rig.ended(30).await;
    let repeated = ended.iter().filter(|delivery| delivery.state == DeliveryState::Repeated);
    assert!(repeated.count() >= 20, "{ended:#?}");
    let all = rig.texts("-1001").join("\n");
    for number in 0..30 {
        assert!(all.contains(&format!("#C{number:04}")), "{number} is lost");
    }
    assert!(all.contains("↻ possible repeat"), "{all}");
}
