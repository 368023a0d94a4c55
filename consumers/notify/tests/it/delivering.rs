use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, AlertState, DeliveryState, Severity};
use crypto_intel_service::now_us;

use crate::rig::{Rig, alert, eventually};

#[tokio::test]
async fn every_alert_reaches_its_destinations_once_and_in_order() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let role = rig.run(rig.config("", "")).await;
    for number in 0..25 {
        let routes = vec!["ops".into(), "desk".into()];
        rig.publish(Alert { routes, ..alert(number) }).await;
    }
    let ended = rig.ended(50).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    assert!(ended.iter().all(|delivery| delivery.attempts == 1 && delivery.message_id.is_some()));
    for destination in ["-1001", "42"] {
        let texts = rig.texts(destination);
        assert_eq!(texts.len(), 25);
        for (number, text) in texts.iter().enumerate() {
            assert!(text.contains(&format!("C{number:04}")), "{number}: {text}");
        }
    }
    assert!(rig.texts("-1001")[3].starts_with("🚨 3 USDC <moved> & @everyone *bold*"));
    assert_eq!(role.count("crypto_intel_notify_routed_total", &["ops"]), 25);
    assert_eq!(role.count("crypto_intel_notify_deliveries_total", &["ops", "sent"]), 25);
    assert!(role.is_healthy("notify.ops") && role.is_healthy("notify.router"));
    eventually("what has ended leaves the outbox", async || {
        rig.admin.stream_state("OUTBOX").await.unwrap().messages == 0
    })
    .await;
    rig.no_violations();
    role.stop().await;
}

#[tokio::test]
async fn corrections_and_resolutions_are_messages_of_their_own() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let _role = rig.run(rig.config("", "")).await;
    let fired = alert(1);
    rig.publish(fired.clone()).await;
    rig.publish(Alert { state: AlertState::Corrected, n: 2, ..fired.clone() }).await;
    rig.publish(Alert { state: AlertState::Resolved, n: 3, ..fired }).await;
    rig.ended(3).await;
    let texts = rig.texts("-1001");
    assert!(texts[0].starts_with("🚨") && texts[1].starts_with("✏️") && texts[2].starts_with("✅"));
}

#[tokio::test]
async fn two_instances_send_no_second_copy() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let _first = rig.run(rig.config("", "")).await;
    let _second = rig.run(rig.config("", "")).await;
    for number in 0..20 {
        rig.publish(alert(number)).await;
    }
    rig.ended(20).await;
    assert_eq!(rig.texts("-1001").len(), 20);
}

#[tokio::test]
async fn what_is_too_old_is_counted_and_not_sent() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let _role = rig.run(rig.config("max_age_seconds = 60", "")).await;
    rig.publish(Alert { seen_at_us: now_us() - 61_000_000, ..alert(1) }).await;
    rig.publish(alert(2)).await;
    let ended = rig.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Expired);
    assert_eq!(ended[1].state, DeliveryState::Sent);
    assert_eq!(rig.texts("-1001").len(), 1);
}

#[tokio::test]
async fn a_flood_is_folded_in_order_with_every_code() {
    let rig = Rig::start(ChatLimits::Strict).await;
    for number in 0..100 {
        let severity = if number == 50 { Severity::Critical } else { Severity::Info };
        rig.publish(Alert { severity, ..alert(number) }).await;
    }
    let role = rig.run(rig.strict_config("{}", "{}")).await;
    let ended = rig.ended(100).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    let texts = rig.texts("-1001");
    // One by one a group would take more than five minutes.
    assert!(texts.len() <= 25, "{} messages", texts.len());
    let all = texts.join("\n");
    let places: Vec<usize> =
        (0..100).map(|number| all.find(&format!("C{number:04}")).expect("every code")).collect();
    assert!(places.is_sorted(), "nothing overtakes anything");
    assert_eq!(all.matches("C0077").count(), 1);
    assert!(texts.iter().any(|text| text.starts_with("🚨") && text.contains("C0050")));
    assert_eq!(role.count("crypto_intel_notify_deliveries_total", &["ops", "sent"]), 100);
    rig.no_violations();
}

#[tokio::test]
async fn a_full_outbox_takes_no_more_and_loses_none() {
    let rig = Rig::start(ChatLimits::Relaxed).await;
    let jetstream = rig.admin.jetstream();
    let mut config = jetstream.get_stream("OUTBOX").await.unwrap().cached_info().config.clone();
    config.max_bytes = 16 << 10;
    jetstream.update_stream(config).await.unwrap();
    rig.chat.reply_429(1, 2);
    let role = rig.run(rig.config("", "")).await;
    for number in 0..60 {
        rig.publish(alert(number)).await;
    }
    let full = rig.admin.stream_state("ALERT").await.unwrap().messages;
    assert_eq!(full, 60);
    let ended = rig.ended(60).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    assert_eq!(rig.texts("-1001").len(), 60);
    assert_eq!(role.count("crypto_intel_notify_routed_total", &["ops"]), 60);
}
