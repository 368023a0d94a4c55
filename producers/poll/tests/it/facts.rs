//! What several sources say of a metric, over all instances, and what is told when no source says it any more.

use crypto_intel_nats::Bucket;
use crypto_intel_poll::{Config, FactSettings, ProviderSettings, fact_reports};
use crypto_intel_schemas::{Event, FactValue, Kind, ProviderState, SourceVerdict};
use crypto_intel_testkit::{Broker, eventually};
use tempfile::TempDir;

use crate::{
    harness::{event_of, start},
    stand_in::{Reply, StandIn},
};

const FACT: &str = "metric gas.fast of ethereum";

fn gas(gwei: &str) -> Reply {
    Reply::json(format!(r#"{{"fast": {gwei}}}"#))
}

/// Providers of gas, asked each second.
fn config(sources: &[(&str, &StandIn)]) -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    for (name, _) in sources {
        let file = format!(
            r#"
name = "{name}"
title = "Own"
category = "gas"
facts = "this test"
base_url = "https://example.org"
[quota]
per_minute = 6000
burst = 50
[[endpoints]]
name = "gas"
kind = "metric"
path = "/gas"
every_seconds = 1
stale_after_seconds = 3
[endpoints.jq]
expects = '["gas.fast/ethereum"]'
events = '{{name: "gas.fast", key: "ethereum", value: .fast, unit: "gwei"}}'
example = '{{"fast": 20}}'
"#
        );
        std::fs::write(folder.path().join(format!("{name}.toml")), file).unwrap();
    }
    let settings = |stand_in: &StandIn| ProviderSettings {
        base_url: Some(stand_in.url().as_str().into()),
        ..ProviderSettings::default()
    };
    let config = Config {
        catalogue: Some(folder.path().to_owned()),
        only: sources.iter().map(|(name, _)| (*name).to_owned()).collect(),
        providers: sources
            .iter()
            .map(|(name, stand_in)| ((*name).to_owned(), settings(stand_in)))
            .collect(),
        ..Config::default()
    };
    (folder, config)
}

async fn fact(broker: &Broker) -> Option<FactValue> {
    let key = FactValue::key(Kind::Metric, "gas.fast/ethereum", Some("gwei"));
    let entry = broker.nats.kv(Bucket::Facts).await.ok()?.get(&key).await.ok()??;
    Some(serde_json::from_slice(&entry.value).unwrap())
}

fn verdict(fact: &FactValue, source: &str) -> Option<SourceVerdict> {
    fact.sources.iter().find(|said| said.source == source).map(|said| said.verdict)
}

#[tokio::test]
async fn what_two_instances_poll_is_one_fact_without_outliers_and_jumps() {
    let broker = Broker::start_with_users().await;
    let (one, two) = (StandIn::start([gas("20")]).await, StandIn::start([gas("22")]).await);
    let three = StandIn::start([gas("2000")]).await;
    let (_folder, config) = config(&[("one", &one), ("two", &two), ("three", &three)]);
    let roles =
        [start(&broker, config.clone(), "a").await, start(&broker, config.clone(), "b").await];
    eventually(async || {
        fact(&broker).await.is_some_and(|fact| {
            fact.sources.len() == 3
                && verdict(&fact, "three") == Some(SourceVerdict::Outlier)
                && fact.value.as_str() == "20"
        })
    })
    .await;

    one.reply([gas("200")]);
    eventually(async || {
        fact(&broker).await.is_some_and(|fact| {
            verdict(&fact, "one") == Some(SourceVerdict::Jump) && fact.value.as_str() == "22"
        })
    })
    .await;
    // A second source confirms it.
    two.reply([gas("210")]);
    eventually(async || fact(&broker).await.is_some_and(|fact| fact.value.as_str() == "200")).await;

    let reports = fact_reports(&broker.nats, Some("metric"), Some("gas.fast")).await.unwrap();
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((report.fact.as_str(), report.sources.len()), (FACT, 3));
    assert_eq!(fact_reports(&broker.nats, Some("price"), None).await.unwrap(), []);
    let counted = |result: &str| {
        let of = |role: &crypto_intel_testkit::RunningRole| {
            role.metric("crypto_intel_poll_facts_total", &["three", result])
        };
        roles.iter().map(of).sum::<f64>()
    };
    // What a source says is judged each time it says it: at first there was nothing to compare with.
    eventually(async || counted("outlier") >= 1.0).await;
    for role in roles {
        role.stop().await;
    }
}

async fn told(broker: &Broker) -> Vec<(ProviderState, Option<String>)> {
    let messages = broker.messages("STATUS").await;
    let events = messages.iter().filter_map(|message| match event_of(message) {
        Event::ProviderStatus(status) if status.provider == "facts" => {
            Some((status.state, status.endpoint))
        }
        _ => None,
    });
    events.collect()
}

#[tokio::test]
async fn a_fact_without_a_fresh_source_is_told_once_and_again_when_it_is_back() {
    let broker = Broker::start_with_users().await;
    let (one, two) = (StandIn::start([gas("20")]).await, StandIn::start([gas("22")]).await);
    let (_folder, config) = config(&[("one", &one), ("two", &two)]);
    let facts = FactSettings { required: vec![FACT.to_owned()], ..FactSettings::default() };
    let config = Config { facts, ..config };
    let role = start(&broker, config.clone(), "a").await;
    role.until_healthy("poll.sources").await;
    one.reply([Reply::json("{}")]);
    eventually(async || role.metric("crypto_intel_poll_fact_fresh_sources", &[FACT]) <= 1.0).await;
    assert_eq!(told(&broker).await, [], "one of two is enough");
    two.reply([Reply::json("{}")]);
    let stale = (ProviderState::Failing, Some(FACT.to_owned()));
    eventually(async || told(&broker).await == [stale.clone()]).await;

    // Another instance knows what was told.
    role.kill().await;
    let role = start(&broker, config, "b").await;
    eventually(async || role.metric("crypto_intel_leader", &["poll.facts"]) > 0.0).await;
    one.reply([gas("21")]);
    let back = (ProviderState::Ok, Some(FACT.to_owned()));
    eventually(async || told(&broker).await == [stale.clone(), back.clone()]).await;
    role.until_healthy("poll.sources").await;
    role.stop().await;
}
