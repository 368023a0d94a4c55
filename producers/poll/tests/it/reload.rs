//! The folder of the operator's files while the role runs.

use std::path::Path;

use crypto_intel_poll::{
    Config, EndpointSettings, FetchError, ProviderSettings, dry_run, providers,
};
use crypto_intel_testkit::{Broker, RunningRole, eventually};

use crate::{
    harness::start,
    stand_in::{Reply, StandIn},
};

const ANSWER: &str = r#"{"price": 1.5}"#;
const PROBE: &str = "poll.catalogue";

fn file(name: &str, base_url: &str, path: &str) -> String {
    format!(
        r#"name = "{name}"
title = "Own"
category = "market"
facts = "a test"
base_url = "{base_url}"
quota = {{ per_minute = 6000, burst = 100 }}
[[endpoints]]
name = "prices"
kind = "price"
path = "{path}"
every_seconds = 1
[endpoints.jq]
events = '{{asset: "bitcoin", quote: "usd", price}}'
example = '{{"price": 1}}'
"#
    )
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

/// Only the files of the folder are polled, all at the stand-in.
fn config(folder: &Path, stand_in: &StandIn, names: &[&str]) -> Config {
    let settings =
        ProviderSettings { base_url: Some(stand_in.url().into()), ..ProviderSettings::default() };
    Config {
        catalogue: Some(folder.to_owned()),
        only: names.iter().map(|name| (*name).to_owned()).collect(),
        providers: names.iter().map(|name| ((*name).to_owned(), settings.clone())).collect(),
        ..Config::default()
    }
}

fn catalogue(role: &RunningRole) -> (bool, String) {
    role.probe(PROBE).map_or((false, String::new()), |probe| (probe.healthy, probe.detail))
}

#[tokio::test]
async fn changed_files_are_taken_and_wrong_ones_leave_the_last_good_one_in_force() {
    let broker = Broker::start_with_users().await;
    let folder = tempfile::tempdir().unwrap();
    let good = |path: &str| file("own", "https://api.example.org", path);
    write(folder.path(), "own", &good("/v1"));
    let stand_in = StandIn::start([Reply::json(ANSWER)]).await;
    let asked = |path: &str| stand_in.requests().iter().filter(|asked| asked.path == path).count();
    let role = start(&broker, config(folder.path(), &stand_in, &["own"]), "a").await;
    eventually(async || asked("/v1") > 0).await;
    assert_eq!(catalogue(&role), (true, "1 providers".to_owned()));

    write(folder.path(), "own", &good("/v2"));
    eventually(async || asked("/v2") > 0).await;

    write(folder.path(), "own", &good("/v3").replace("{asset", "{asse"));
    eventually(async || !catalogue(&role).0).await;
    let said = catalogue(&role).1;
    assert!(said.contains("own.toml:13") && said.contains("asse"), "{said}");
    write(folder.path(), "own", "not toml");
    eventually(async || catalogue(&role).1.contains("is not a provider file")).await;
    let before = asked("/v2");
    eventually(async || asked("/v2") > before).await;
    assert_eq!(asked("/v3"), 0);

    write(folder.path(), "own", &good("/v4"));
    eventually(async || asked("/v4") > 0).await;
    assert!(catalogue(&role).0);
    std::fs::remove_file(folder.path().join("own.toml")).unwrap();
    eventually(async || role.probe("poll.own.prices").is_none()).await;
    role.stop().await;
}

#[tokio::test]
async fn a_wrong_file_stops_its_own_provider_alone_and_all_mistakes_are_told() {
    let broker = Broker::start_with_users().await;
    let folder = tempfile::tempdir().unwrap();
    let good = |name: &str| file(name, "https://api.example.org", "/v1");
    write(folder.path(), "own", &good("own"));
    write(folder.path(), "other", &good("other").replace("every_seconds = 1", "every_seconds = 0"));
    write(folder.path(), "third", &good("third").replace("\"/v1\"", "\"v1\""));
    let stand_in = StandIn::start([Reply::json(ANSWER)]).await;
    let config = config(folder.path(), &stand_in, &["own", "other", "third"]);
    let error = providers(&config).unwrap_err().to_string();
    assert!(error.contains("other.toml") && error.contains("line 11"), "{error}");
    assert!(error.contains("third.toml:10: endpoint prices: path"), "{error}");
    let role = start(&broker, config, "a").await;
    role.until_healthy("poll.own.prices").await;
    assert!(role.probe("poll.third.prices").is_none());
    let (healthy, said) = catalogue(&role);
    assert!(!healthy && said.contains("other.toml") && said.contains("third.toml"), "{said}");
    assert!(role.context.health.report().ready, "{:?}", role.context.health.report());
    role.stop().await;
}

#[tokio::test]
async fn the_configuration_says_when_an_endpoint_is_polled() {
    let broker = Broker::start_with_users().await;
    let folder = tempfile::tempdir().unwrap();
    let mut text = file("own", "https://api.example.org", "/v1");
    let endpoint = text[text.find("[[endpoints]]").unwrap()..].replace("prices", "others");
    text.push_str(&endpoint.replace("/v1", "/v2"));
    write(folder.path(), "own", &text);
    let stand_in = StandIn::start([Reply::json(ANSWER)]).await;
    let mut config = config(folder.path(), &stand_in, &["own"]);
    let own = config.providers.get_mut("own").unwrap();
    let hourly = EndpointSettings { every_seconds: Some(3_600), ..EndpointSettings::default() };
    let off = EndpointSettings { enabled: Some(false), ..EndpointSettings::default() };
    own.endpoints = [("prices".to_owned(), hourly), ("others".to_owned(), off.clone())].into();
    let summaries = providers(&config).unwrap();
    let summary = summaries.iter().find(|summary| summary.name == "own").unwrap();
    let endpoints = summary.endpoints.iter().map(|one| (one.every_seconds, one.enabled));
    assert_eq!(endpoints.collect::<Vec<_>>(), [(3_600, true), (1, false)]);
    let role = start(&broker, config.clone(), "a").await;
    role.until_healthy("poll.own.prices").await;
    assert!(stand_in.requests().iter().all(|asked| asked.path == "/v1"));
    assert!(role.probe("poll.own.others").is_none());
    role.stop().await;

    let own = config.providers.get_mut("own").unwrap();
    own.endpoints.insert("price".to_owned(), off);
    let error = providers(&config).unwrap_err().to_string();
    assert!(error.contains("poll.providers.own.endpoints.price: there is no such"), "{error}");
    assert!(error.contains("there are prices, others"), "{error}");
}

#[tokio::test]
async fn a_file_cannot_send_requests_into_our_own_networks() {
    let folder = tempfile::tempdir().unwrap();
    let stand_in = StandIn::start([Reply::json(ANSWER)]).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let base_url = stand_in.url().replace("127.0.0.1", host);
        write(folder.path(), "own", &file("own", &base_url, "/v1"));
        let mut config = config(folder.path(), &stand_in, &["own"]);
        config.providers.clear();
        let runs = dry_run(&config, "own", None).await.unwrap();
        let error = runs.into_iter().next().unwrap().outcome.unwrap_err();
        assert!(matches!(error, FetchError::Inside { .. }), "{host}: {error}");
        assert!(error.to_string().contains("in base_url of the provider"), "{error}");
    }
    assert_eq!(stand_in.requests().len(), 0);
}
