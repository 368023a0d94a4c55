//! Alerts as counts.

use crypto_intel_schemas::{
    Alert,
    AlertState::{self, Fired, Resolved},
    Event, Kind, Severity, samples,
};
use crypto_intel_service::now_us;
use serde_json::Value;

use crate::{harness::Servers, seed::write};

const HOUR_US: i64 = 3_600_000_000;

fn alert(name: &str, severity: Severity, n: u32, state: AlertState, hours_ago: i64) -> Event {
    let Event::Alert(sample) = samples::sample(Kind::Alert) else { panic!() };
    let (id, alert) = (format!("{name}:{n}"), name.to_owned());
    let observed_at_us = now_us() - hours_ago * HOUR_US;
    Event::from(Alert { id, alert, n, severity, state, observed_at_us, ..sample })
}

fn sum(page: &Value, severity: &str, field: &str) -> u64 {
    let items = page["items"].as_array().unwrap().iter();
    items
        .filter(|item| item["severity"] == severity)
        .map(|item| item[field].as_u64().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_counted_by_the_hour_in_which_they_began() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let alerts = [
        alert("one", Severity::Warning, 1, Fired, 5),
        alert("two", Severity::Warning, 1, Fired, 3),
        alert("two", Severity::Warning, 2, Resolved, 1),
        alert("three", Severity::Critical, 1, Fired, 2),
        alert("old", Severity::Critical, 1, Fired, 100),
    ];
    write(&servers.store, "ALERT", &alerts, 0).await;
    let day = api.get("/api/v1/alerts/summary?since=-24h").await;
    assert_eq!(day.status, 200, "{day:?}");
    let counted =
        |severity| (sum(&day.body, severity, "alerts"), sum(&day.body, severity, "ongoing"));
    assert_eq!(counted("warning"), (2, 1), "resolved is not ongoing");
    assert_eq!(counted("critical"), (1, 1), "what is older is not counted");
    for item in day.body["items"].as_array().unwrap() {
        assert_eq!(item["bucket_us"].as_i64().unwrap() % HOUR_US, 0, "{item}");
    }
    let week = api.get("/api/v1/alerts/summary").await;
    assert_eq!(sum(&week.body, "critical", "alerts"), 2);
    for item in week.body["items"].as_array().unwrap() {
        assert_eq!(item["bucket_us"].as_i64().unwrap() % (24 * HOUR_US), 0, "by days: {item}");
    }
    let hours = api.get("/api/v1/alerts/summary?since=-6h").await;
    assert_eq!(sum(&hours.body, "warning", "alerts"), 2);
    for item in hours.body["items"].as_array().unwrap() {
        assert_eq!(item["bucket_us"].as_i64().unwrap() % (HOUR_US / 12), 0, "by minutes: {item}");
    }
    let other = api.get("/api/v1/alerts/summary?chain=base").await;
    assert_eq!(other.body["items"], serde_json::json!([]));
}
