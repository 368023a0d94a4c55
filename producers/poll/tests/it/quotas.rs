//! Quotas, keys and refusals against real HTTP and a real bucket.

use crypto_intel_nats::Bucket;
use crypto_intel_poll::{Config, ProviderSettings, provider_reports};
use crypto_intel_schemas::{Event, ProviderState, QuotaWindow};
use crypto_intel_service::Secret;
use crypto_intel_testkit::{Broker, eventually};
use tempfile::TempDir;

use crate::{
    harness::start,
    stand_in::{Reply, StandIn},
};

const KEY_STATE: &str = "crypto_intel_poll_key_state";
const HELD: &str = "crypto_intel_poll_held";

/// A provider with one endpoint for each address, asked each second.
fn config(
    quota: &str,
    endpoints: &[(&str, String)],
    settings: ProviderSettings,
) -> (TempDir, Config) {
    let mut file = format!(
        r#"
name = "own"
title = "Own"
category = "market"
facts = "this test"
base_url = "http://127.0.0.1"
[key]
header = "x-key"
[quota]
burst = 5
{quota}
"#
    );
    for (name, url) in endpoints {
        file.push_str(&format!(
            r#"
[[endpoints]]
name = "{name}"
kind = "index"
base_url = "{url}"
path = "/{name}"
every_seconds = 1
[endpoints.jq]
fault = 'if .error then {{message: .error, spent: .spent}} else null end'
events = '{{index: "{name}", value: .value}}'
example = '{{"value": 1}}'
"#
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    // The endpoints' own addresses are inside: the operator has to name their host.
    let settings = ProviderSettings { base_url: Some("http://127.0.0.1".into()), ..settings };
    let config = Config {
        catalogue: Some(folder.path().to_owned()),
        only: vec!["own".to_owned()],
        providers: [("own".to_owned(), settings)].into(),
        ..Config::default()
    };
    (folder, config)
}

fn keys(keys: &[&str]) -> ProviderSettings {
    ProviderSettings {
        keys: keys.iter().map(|key| Secret::new(*key)).collect(),
        ..ProviderSettings::default()
    }
}

fn good() -> Reply {
    Reply::json(r#"{"value": 1}"#)
}

fn keys_sent(stand_in: &StandIn) -> Vec<String> {
    let requests = stand_in.requests();
    requests.iter().map(|asked| asked.headers["x-key"].to_str().unwrap().to_owned()).collect()
}

async fn newest_state(broker: &Broker) -> Option<ProviderState> {
    let last = broker.nats.last_on_subject("STATUS", "status.provider.own").await.unwrap()?;
    match Event::decode(&last.payload).unwrap() {
        Event::ProviderStatus(status) => Some(status.state),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn how_providers_are_can_be_read_without_polling_them() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([good()]).await;
    let quota = "per_day = 50000";
    let (_folder, config) = config(quota, &[("a", stand_in.url())], keys(&["one", "two"]));
    let role = start(&broker, config.clone(), "a").await;
    eventually(async || newest_state(&broker).await == Some(ProviderState::Ok)).await;
    let reports = provider_reports(&config, &broker.nats).await.unwrap();
    let report_of = |name: &str| {
        let found = reports.iter().find(|(provider, _)| provider.name == name);
        found.map(|(_, report)| report).unwrap()
    };
    let own = report_of("own");
    let status = own.status.as_ref().unwrap();
    assert_eq!((status.quota_limit, status.quota_window), (Some(50_000), Some(QuotaWindow::Day)));
    assert!(status.stale_seconds.is_some() && status.latency_ms.is_some(), "{status:?}");
    let [first, second] = own.quotas.as_slice() else { panic!("{:?}", own.quotas) };
    assert!(first.used >= 1 && first.key == Some(1) && first.window == "day", "{first:?}");
    assert!(first.resets_at_us.is_some_and(|at| at % 86_400_000_000 == 0));
    assert_eq!((second.key, second.used, second.limit), (Some(2), 0, 50_000));
    assert!(own.endpoints[0].last_slot_us.is_some(), "{:?}", own.endpoints);
    let absent = report_of("coingecko");
    assert!(absent.status.is_none() && absent.endpoints[0].last_slot_us.is_none());
    role.stop().await;
}

#[tokio::test]
async fn neither_a_restart_nor_another_instance_begins_a_month_again() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([good()]).await;
    let quota = "per_month = 4";
    let (_folder, config) = config(quota, &[("a", stand_in.url())], keys(&["very-secret"]));
    let first = start(&broker, config.clone(), "first").await;
    eventually(async || stand_in.requests().len() == 2).await;
    eventually(async || first.metric("crypto_intel_poll_slots_total", &["a"]) >= 0.0).await;
    first.stop().await;
    let before = stand_in.requests().len();
    for instance in ["second", "third"] {
        let role = start(&broker, config.clone(), instance).await;
        let spent = async || role.metric(KEY_STATE, &["own", "1", "spent"]) == 1.0;
        eventually(async || spent().await && role.is_healthy("poll.own")).await;
        assert_eq!(stand_in.requests().len(), 4, "{before} were sent by the first");
        assert_eq!(role.metric("crypto_intel_poll_quota_used", &["own", "month"]), 4.0);
        assert_eq!(role.metric("crypto_intel_poll_quota_nearly_spent", &["own", "1"]), 1.0);
        eventually(async || newest_state(&broker).await == Some(ProviderState::QuotaSpent)).await;
        role.stop().await;
    }
    let bucket = broker.nats.kv(Bucket::Cursors).await.unwrap();
    let entries = bucket.entries("poll.quota.").await.unwrap();
    let [(key, _)] = entries.as_slice() else { panic!("{entries:?}") };
    assert!(key.starts_with("poll.quota.own.") && !key.contains("secret"), "{key}");
}

#[tokio::test]
async fn a_refused_key_gives_way_to_the_next() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::status(401, "no such key"), good()]).await;
    let endpoints = [("a", stand_in.url())];
    let (_folder, config) = config("per_minute = 600", &endpoints, keys(&["one", "two"]));
    let role = start(&broker, config, "a").await;
    eventually(async || stand_in.requests().len() >= 3).await;
    assert_eq!(keys_sent(&stand_in)[..3], ["one", "two", "two"]);
    assert_eq!(role.metric(HELD, &["own"]), 0.0);
    role.until_healthy("poll.own.a").await;
    role.stop().await;
}

#[tokio::test]
async fn a_key_that_the_provider_calls_spent_is_not_asked_again_after_a_restart_either() {
    let broker = Broker::start_with_users().await;
    let spent = Reply::json(r#"{"error": "out of credits", "spent": "month"}"#);
    let stand_in = StandIn::start([spent, good()]).await;
    let endpoints = [("a", stand_in.url())];
    let (_folder, config) = config("per_minute = 600", &endpoints, keys(&["one", "two"]));
    let first = start(&broker, config.clone(), "first").await;
    eventually(async || stand_in.requests().len() >= 2).await;
    eventually(async || first.metric(KEY_STATE, &["own", "1", "spent"]) == 1.0).await;
    assert_eq!(first.metric(KEY_STATE, &["own", "2", "usable"]), 1.0);
    assert_eq!(first.metric("crypto_intel_poll_requests_total", &["spent"]), 1.0);
    first.stop().await;
    let before = stand_in.requests().len();
    let second = start(&broker, config, "second").await;
    eventually(async || stand_in.requests().len() > before).await;
    let keys = keys_sent(&stand_in);
    assert!(keys[0] == "one" && keys[1..].iter().all(|key| key == "two"), "{keys:?}");
    second.stop().await;
}

#[tokio::test]
async fn a_refused_endpoint_rests_alone() {
    for status in [401, 402, 403, 451] {
        let broker = Broker::start_with_users().await;
        let paid = StandIn::start([Reply::status(status, "not in your plan")]).await;
        let free = StandIn::start([good()]).await;
        let endpoints = [("paid", paid.url()), ("free", free.url())];
        let (_folder, config) = config("per_minute = 600", &endpoints, ProviderSettings::default());
        let role = start(&broker, config, "a").await;
        eventually(async || free.requests().len() >= 3).await;
        eventually(async || {
            let probe = role.probe("poll.own.paid");
            probe.is_some_and(|probe| probe.detail.contains(&format!("status {status}")))
        })
        .await;
        assert_eq!(paid.requests().len(), 1, "{status}");
        assert_eq!(role.metric(HELD, &["own"]), 0.0);
        assert!(role.is_healthy("poll.own.free"));
        role.stop().await;
    }
}

#[tokio::test]
async fn when_several_endpoints_are_refused_the_provider_rests() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::status(403, "banned")]).await;
    let endpoints = ["a", "b", "c"].map(|name| (name, stand_in.url()));
    let quota = "per_minute = 600";
    let (_folder, config) = config(quota, &endpoints, ProviderSettings::default());
    let role = start(&broker, config, "a").await;
    eventually(async || role.metric(KEY_STATE, &["own", "refused"]) == 1.0).await;
    assert!((2..=3).contains(&stand_in.requests().len()), "those under way, and no more");
    role.stop().await;
}

#[tokio::test]
async fn a_failing_host_pauses_all_its_endpoints() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::status(502, "bad gateway")]).await;
    let endpoints = ["a", "b", "c", "d", "e"].map(|name| (name, stand_in.url()));
    let quota = "per_minute = 600";
    let (_folder, config) = config(quota, &endpoints, ProviderSettings::default());
    let role = start(&broker, config, "a").await;
    eventually(async || role.metric(HELD, &["own"]) == 1.0).await;
    let requests = stand_in.requests().len();
    assert!((5..=9).contains(&requests), "{requests} requests");
    assert_eq!(role.metric("crypto_intel_poll_requests_total", &["server_error"]), requests as f64);
    role.stop().await;
}

#[tokio::test]
async fn a_limit_without_a_time_is_waited_out_for_a_minute() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::status(429, "slow down"), good()]).await;
    let endpoints = ["a", "b"].map(|name| (name, stand_in.url()));
    let quota = "per_minute = 600";
    let (_folder, config) = config(quota, &endpoints, ProviderSettings::default());
    let role = start(&broker, config, "a").await;
    eventually(async || role.metric(HELD, &["own"]) == 1.0).await;
    eventually(async || {
        let waits =
            |name: &str| role.probe(name).is_some_and(|probe| probe.detail.contains("wait 60 s"));
        waits("poll.own.a") || waits("poll.own.b")
    })
    .await;
    assert!(stand_in.requests().len() <= 2, "one that was under way, and no more");
    role.stop().await;
}

#[tokio::test]
async fn what_a_provider_says_of_its_quota_is_believed() {
    let broker = Broker::start_with_users().await;
    let nothing_left = good().header("x-left", "0").header("x-reset", "3");
    let stand_in = StandIn::start([nothing_left, good()]).await;
    let quota = r#"
per_minute = 600
remaining_header = { name = "x-left", window = "minute" }
reset_header = { name = "x-reset", unit = "seconds" }
"#;
    let endpoints = [("a", stand_in.url())];
    let (_folder, config) = config(quota, &endpoints, ProviderSettings::default());
    let role = start(&broker, config, "a").await;
    eventually(async || stand_in.requests().len() >= 2).await;
    let requests = stand_in.requests();
    let pause = requests[1].at - requests[0].at;
    assert!(pause.as_millis() >= 2_900, "asked again after {pause:?}");
    assert!(role.metric("crypto_intel_poll_quota_wait_milliseconds_total", &["own"]) > 1_000.0);
    role.stop().await;
}
