use crypto_intel_sandbox::ChatLimits;
use crypto_intel_schemas::{Alert, DeliveryState, Severity};
use crypto_intel_service::now_us;
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, alert};

#[tokio::test]
async fn every_alert_reaches_its_destinations_once_and_in_order() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let role = servers.notify(servers.config("", "")).await;
    for number in 0..25 {
        let routes = vec!["ops".into(), "desk".into()];
        servers.publish(Alert { routes, ..alert(number) }).await;
    }
    let ended = servers.ended(50).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    assert!(ended.iter().all(|delivery| delivery.attempts == 1 && delivery.message_id.is_some()));
    for destination in ["-1001", "42"] {
        let texts = servers.texts(destination);
        assert_eq!(texts.len(), 25);
        for (number, text) in texts.iter().enumerate() {
            assert!(text.contains(&format!("C{number:04}")), "{number}: {text}");
        }
    }
    assert!(servers.texts("-1001")[3].starts_with("🚨 3 USDC <moved> & @everyone *bold*"));
    assert_eq!(role.metric("crypto_intel_notify_routed_total", &["ops"]), 25.0);
    assert_eq!(role.metric("crypto_intel_notify_deliveries_total", &["ops", "sent"]), 25.0);
    assert!(role.is_healthy("notify.ops") && role.is_healthy("notify.router"));
    eventually(async || servers.broker.nats.stream_state("OUTBOX").await.unwrap().messages == 0)
        .await;
    servers.no_violations();
    role.stop().await;
}

#[tokio::test]
async fn two_instances_send_no_second_copy() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _first = servers.notify(servers.config("", "")).await;
    let _second = servers.notify(servers.config("", "")).await;
    for number in 0..20 {
        servers.publish(alert(number)).await;
    }
    servers.ended(20).await;
    assert_eq!(servers.texts("-1001").len(), 20);
}

#[tokio::test]
async fn what_is_too_old_is_counted_and_not_sent() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("max_age_seconds = 60", "")).await;
    servers.publish(Alert { seen_at_us: now_us() - 61_000_000, ..alert(1) }).await;
    servers.publish(alert(2)).await;
    let ended = servers.ended(2).await;
    assert_eq!(ended[0].state, DeliveryState::Expired);
    assert_eq!(ended[1].state, DeliveryState::Sent);
    assert_eq!(servers.texts("-1001").len(), 1);
}

#[tokio::test]
async fn a_flood_is_folded_in_order_with_every_code() {
    let servers = Servers::start(ChatLimits::Strict).await;
    for number in 0..100 {
        let severity = if number == 50 { Severity::Critical } else { Severity::Info };
        servers.publish(Alert { severity, ..alert(number) }).await;
    }
    let role = servers.notify(servers.strict_config("{}", "{}")).await;
    let ended = servers.ended(100).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    let texts = servers.texts("-1001");
    // Sent one by one to a group, they would take more than five minutes.
    assert!(texts.len() <= 25, "{} messages", texts.len());
    let all = texts.join("\n");
    let place = |number: usize| all.find(&format!("C{number:04}")).expect("every code");
    let places: Vec<usize> = (0..100).filter(|number| *number != 50).map(place).collect();
    assert!(places.is_sorted(), "nothing overtakes anything");
    assert!(place(50) < place(60), "but what is critical goes first");
    assert_eq!(all.matches("C0077").count(), 1);
    assert!(texts.iter().any(|text| text.starts_with("🚨") && text.contains("C0050")));
    assert_eq!(role.metric("crypto_intel_notify_deliveries_total", &["ops", "sent"]), 100.0);
    servers.no_violations();
}

#[tokio::test]
async fn a_full_outbox_takes_no_more_and_loses_none() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let jetstream = servers.broker.nats.jetstream();
    let mut config = jetstream.get_stream("OUTBOX").await.unwrap().cached_info().config.clone();
    config.max_bytes = 16 << 10;
    jetstream.update_stream(config).await.unwrap();
    servers.chat.reply_429(1, 2);
    let role = servers.notify(servers.config("", "")).await;
    for number in 0..60 {
        servers.publish(alert(number)).await;
    }
    let full = servers.broker.nats.stream_state("ALERT").await.unwrap().messages;
    assert_eq!(full, 60);
    let ended = servers.ended(60).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    assert_eq!(servers.texts("-1001").len(), 60);
    assert_eq!(role.metric("crypto_intel_notify_routed_total", &["ops"]), 60.0);
}
