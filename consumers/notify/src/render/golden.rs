//! What is sent to each service, word by word, in `docs/pictures/messages.json`: the pictures of the documentation are made of
//! it. `UPDATE_GOLDEN=1` rewrites it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use crypto_intel_schemas::{
    Alert, AlertState, Chart, ChartPoint, ChartShape, Decimal, Labels, Link, Severity,
};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{
    channel::{MessageContent, Place, Together, clients},
    config::Config,
    records::delivery::notification,
    render::{Voice, chart, email},
};

const CONFIG: &str = r#"
[destinations.telegram]
channel = "telegram"
token = "123:abc"
chat_id = -1001
allowed_users = [1]

[destinations.telegram-es]
channel = "telegram"
token = "123:abc"
chat_id = -1001
allowed_users = [1]
policy = { language = "es", time_zone = "Europe/Madrid" }

[destinations.discord]
channel = "discord"
webhook_url = "https://discord.com/api/webhooks/1/token"

[destinations.slack]
channel = "slack"
token = "xoxb-1"
channel_id = "C0123456789"

[destinations.ntfy]
channel = "ntfy"
topic = "topic"

[destinations.email]
channel = "email"
server = "smtp.example.org"
from = "Alerts <alerts@example.org>"
to = ["ops@example.org"]

[destinations.pagerduty]
channel = "pagerduty"
routing_key = "0123456789abcdef0123456789abcdef"
"#;

fn alert() -> Alert {
    let tx = "https://etherscan.io/tx/0x2f1c5c2b44f771e942a8506148e256f94f1a464babc938ae0690c6e34cd79190";
    Alert {
        alert: "9f2c41d07be83a65".into(),
        code: "K7Q2A".into(),
        rule: "whale-inflow".into(),
        severity: Severity::Critical,
        title: "12,500,000 USDC ($12.50M) → Binance".into(),
        lines: vec![
            "from 0x28c6…1d60 (unknown, first seen 3 d ago) to Binance 14".into(),
            "4th inflow in 1 h, sum $41.2M".into(),
            "block 23118402 · 14:03:22 UTC".into(),
        ],
        links: vec![Link { label: "tx".into(), url: tx.into() }],
        labels: Labels::from([("chain", "ethereum"), ("token", "USDC")]),
        chain: Some("ethereum".into()),
        ongoing: true,
        event_at_us: 1_764_425_002_000_000,
        ..Alert::empty()
    }
}

fn over() -> Alert {
    let lines = vec!["it lasted for 42 min".to_owned()];
    Alert { state: AlertState::Resolved, n: 2, lines, ..alert() }
}

fn group() -> Vec<Alert> {
    let one = |code: &str, rule: &str, title: &str, severity| Alert {
        alert: code.into(),
        code: code.into(),
        rule: rule.into(),
        title: title.into(),
        severity,
        ..alert()
    };
    vec![
        one("M3TXA", "depeg", "USDC at 0.9931 on Kraken and Coinbase for 5 min", Severity::Warning),
        one("P8WZK", "whale-inflow", "1,250 ETH ($4.81M) → Coinbase", Severity::Info),
        one("Q4RTE", "whale-inflow", "3,000,000 USDT ($3.00M) → OKX", Severity::Info),
    ]
}

/// The request of a message, as its service gets it.
fn message(config: &Config, name: &str, alerts: &[Alert], place: Place<'_>) -> Value {
    let destination = &config.destinations[name];
    let voice = Voice::of(destination.policy());
    let own = notification(&alerts[0], name);
    let mut content = MessageContent::new(&own, alerts, &voice);
    (content.place, content.together) = (place, Together::Group);
    let body = if destination.channel() == "email" {
        // The mail itself has a boundary and a date that differ each time.
        let layout = email::layout(&content);
        json!({ "subject": email::subject(&layout), "html": email::html(&layout, None) })
    } else {
        let channel = destination.settings().open(&clients(false).unwrap());
        serde_json::from_slice(&channel.request(&content).body).unwrap()
    };
    json!({ "channel": destination.channel(), "body": body })
}

/// Bitcoin's price over an hour, made up.
fn hour_of_prices() -> Chart {
    let points = (0..60_u32).map(|minute| {
        let wave = (f64::from(minute) / 4.0).sin() * 90.0 + (f64::from(minute) / 1.3).cos() * 35.0;
        let fall = f64::from(minute.saturating_sub(38)) * -310.0;
        ChartPoint {
            at_us: 1_764_421_380_000_000 + i64::from(minute) * 60_000_000,
            value: Decimal::parse(&format!("{:.2}", 64_200.0 + wave + fall)).unwrap(),
        }
    });
    Chart { shape: ChartShape::Line, points: points.collect() }
}

#[test]
fn golden_chart_of_the_documentation_is_what_is_drawn() {
    let drawn = chart::png_of(&hour_of_prices(), &TimeZone::UTC).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures/chart.png");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &drawn).unwrap();
    }
    assert!(std::fs::read(&path).unwrap() == drawn, "run the test with UPDATE_GOLDEN=1");
}

#[test]
fn golden_messages_of_the_documentation_are_what_is_sent() {
    let config: Config = toml::from_str(CONFIG).unwrap();
    assert_eq!(config.validate(), Ok(()));
    let (first, last) = ([alert()], [over()]);
    let edit = Place::Edit { message_id: "7", earlier: &first[0].lines, has_picture: false };
    let mut messages = vec![
        message(&config, "telegram", &first, Place::New),
        message(&config, "telegram-es", &last, edit),
        message(&config, "telegram", &group(), Place::New),
        message(&config, "discord", &first, Place::New),
        message(&config, "discord", &last, edit),
        message(&config, "slack", &first, Place::New),
    ];
    for name in ["ntfy", "email", "pagerduty"] {
        messages.push(message(&config, name, &first, Place::New));
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&messages).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures/messages.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, text, "run the test with UPDATE_GOLDEN=1, then scripts/pictures.py");
}
