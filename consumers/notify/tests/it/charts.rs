//! A picture of what a rule saw: with its message, kept by what changes that, and never in the way of the text.

use crypto_intel_sandbox::{ChatLimits, chat::ChatMessage};
use crypto_intel_schemas::{
    Alert, AlertState, Chart, ChartPoint, ChartShape, Decimal, DeliveryState,
};

use crate::harness::{Servers, alert};

const CHARTS: &str = "charts = true";
const BOTH: [&str; 2] = ["-1001", "42"];

/// Of a window over bitcoin's price.
fn drawn() -> Alert {
    let points = (0..40).map(|minute: i64| ChartPoint {
        at_us: 1_795_940_000_000_000 + minute * 60_000_000,
        value: Decimal::parse(&(64_000 + minute * minute).to_string()).unwrap(),
    });
    let chart = Chart { shape: ChartShape::Line, points: points.collect() };
    Alert { chart: Some(chart), routes: vec!["ops".into(), "desk".into()], ..alert(1) }
}

fn messages(servers: &Servers, destination: &str) -> Vec<ChatMessage> {
    let all = servers.chat.messages().into_iter();
    all.filter(|message| message.destination == destination).collect()
}

fn is_png(message: &ChatMessage) -> bool {
    message.picture.as_ref().is_some_and(|bytes| bytes.starts_with(b"\x89PNG"))
}

#[tokio::test]
async fn an_alert_has_its_chart_and_keeps_it_when_it_ends() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config(CHARTS, CHARTS)).await;
    servers.publish(drawn()).await;
    servers.ended(2).await;
    for destination in BOTH {
        let messages = messages(&servers, destination);
        assert_eq!(messages.len(), 1, "{destination}");
        assert!(is_png(&messages[0]), "{destination}");
        assert!(messages[0].text.contains("from 0x28c6…1d60"), "{}", messages[0].text);
    }
    let end = Alert { state: AlertState::Resolved, n: 2, chart: None, ..drawn() };
    servers.publish(end).await;
    let ended = servers.ended(4).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    for destination in BOTH {
        let messages = messages(&servers, destination);
        assert_eq!((messages.len(), messages[0].edits), (1, 1), "{destination}");
        assert!(is_png(&messages[0]) && messages[0].text.starts_with('✅'), "{destination}");
    }
    servers.no_violations();
}

#[tokio::test]
async fn without_the_setting_or_a_chart_there_is_a_text_alone() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config("", CHARTS)).await;
    servers.publish(drawn()).await;
    let without = Alert { chart: None, routes: vec!["desk".into()], ..alert(2) };
    // One point is no picture: it cannot be drawn, and its message comes.
    let mut short = Alert { routes: vec!["desk".into()], ..alert(3) };
    short.chart = drawn().chart.map(|chart| Chart { points: chart.points[..1].to_vec(), ..chart });
    for alert in [without, short] {
        servers.publish(alert).await;
    }
    servers.ended(4).await;
    assert!(!is_png(&messages(&servers, "-1001")[0]));
    let pictured = messages(&servers, "42").iter().filter(|message| is_png(message)).count();
    assert_eq!(pictured, 1);
    servers.no_violations();
}

#[tokio::test]
async fn a_text_that_is_too_long_for_a_caption_goes_without_the_picture() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    let _role = servers.notify(servers.config(CHARTS, CHARTS)).await;
    let lines: Vec<String> =
        (0..30).map(|line| format!("{line}: {}", "word ".repeat(10))).collect();
    servers.publish(Alert { lines, ..drawn() }).await;
    servers.ended(2).await;
    let telegram = messages(&servers, "-1001").remove(0);
    assert!(!is_png(&telegram) && telegram.text.contains("29: word"), "{}", telegram.text);
    assert!(is_png(&messages(&servers, "42")[0]));
    servers.no_violations();
}

#[tokio::test]
async fn a_chat_that_takes_no_photos_gets_the_text() {
    let servers = Servers::start(ChatLimits::Relaxed).await;
    servers.chat.refuse_photos(-1001);
    let _role = servers.notify(servers.config(CHARTS, "")).await;
    servers.publish(drawn()).await;
    let ended = servers.ended(2).await;
    assert!(ended.iter().all(|delivery| delivery.state == DeliveryState::Sent), "{ended:#?}");
    let telegram = messages(&servers, "-1001").remove(0);
    assert!(!is_png(&telegram) && telegram.text.contains("from 0x28c6…1d60"), "{}", telegram.text);
    // What follows changes the text, not a caption.
    servers.publish(Alert { state: AlertState::Resolved, n: 2, ..drawn() }).await;
    servers.ended(4).await;
    assert_eq!(messages(&servers, "-1001")[0].edits, 1);
    servers.no_violations();
}
