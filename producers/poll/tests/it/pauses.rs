//! What people pause is not asked, and what they try is asked once, by whichever instance polls it.

use std::time::{Duration, Instant};

use crypto_intel_poll::{
    Config, FactSettings, NewPause, ProviderSettings, ProviderSummary, pause, pauses, providers,
    resume, try_elsewhere,
};
use crypto_intel_schemas::{Event, ProviderState, ProviderStatus};
use crypto_intel_testkit::{Broker, eventually};
use tempfile::TempDir;

use crate::{
    harness::{event_of, start},
    stand_in::{Reply, StandIn},
};

const FACT: &str = "index of a";

/// A provider with two endpoints, asked each second.
fn config(stand_in: &StandIn) -> (TempDir, Config) {
    let mut file = r#"
name = "own"
title = "Own"
category = "market"
facts = "this test"
base_url = "https://example.org"
[quota]
per_minute = 6000
burst = 50
"#
    .to_owned();
    for name in ["a", "b"] {
        file.push_str(&format!(
            r#"
[[endpoints]]
name = "{name}"
kind = "index"
path = "/{name}"
every_seconds = 1
stale_after_seconds = 3
[endpoints.jq]
expects = '["{name}"]'
events = '{{index: "{name}", value: .value}}'
example = '{{"value": 1}}'
"#
        ));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    let settings = ProviderSettings {
        base_url: Some(stand_in.url().as_str().into()),
        ..ProviderSettings::default()
    };
    let config = Config {
        catalogue: Some(folder.path().to_owned()),
        only: vec!["own".to_owned()],
        providers: [("own".to_owned(), settings)].into(),
        facts: FactSettings { required: vec![FACT.to_owned()], ..FactSettings::default() },
        ..Config::default()
    };
    (folder, config)
}

fn summary(config: &Config) -> ProviderSummary {
    providers(config).unwrap().into_iter().find(|one| one.name == "own").unwrap()
}

fn lasting(endpoint: Option<&str>, seconds: u64) -> NewPause<'_> {
    NewPause {
        endpoint,
        duration: Duration::from_secs(seconds),
        by: "desk",
        reason: "their maintenance",
    }
}

fn asked(stand_in: &StandIn, path: &str) -> usize {
    stand_in.requests().iter().filter(|request| request.path == path).count()
}

async fn newest_of(broker: &Broker, provider: &str) -> Option<ProviderStatus> {
    let subject = format!("status.provider.{provider}");
    let last = broker.nats.last_on_subject("STATUS", &subject).await.unwrap()?;
    match event_of(&last) {
        Event::ProviderStatus(status) => Some(status),
        other => panic!("{other:?}"),
    }
}

async fn until_off(broker: &Broker, endpoint: Option<&str>) -> ProviderStatus {
    eventually(async || {
        let status = newest_of(broker, "own").await?;
        let is_off = status.state == ProviderState::Off && status.endpoint.as_deref() == endpoint;
        is_off.then_some(status)
    })
    .await
}

#[tokio::test]
async fn what_is_paused_is_asked_nothing_and_is_asked_again_after_resume() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::json(r#"{"value": 1}"#)]).await;
    let (_folder, config) = config(&stand_in);
    let own = summary(&config);
    pause(&broker.nats, &own, lasting(None, 3_600)).await.unwrap();
    let role = start(&broker, config.clone(), "a").await;
    let told = until_off(&broker, None).await;
    let detail = told.detail.unwrap();
    assert!(detail.starts_with("paused by desk until 20"), "{detail}");
    assert!(detail.ends_with("their maintenance"), "{detail}");
    // Rules about silence go by this: the fact that is used has no fresh source.
    let stale = eventually(async || newest_of(&broker, "facts").await).await;
    assert_eq!((stale.state, stale.endpoint.as_deref()), (ProviderState::Failing, Some(FACT)));
    assert_eq!(stand_in.requests().len(), 0, "not one request, from the first moment on");

    assert_eq!(resume(&broker.nats, "own", None).await.unwrap().len(), 1);
    eventually(async || asked(&stand_in, "/a") > 1 && asked(&stand_in, "/b") > 1).await;
    eventually(async || newest_of(&broker, "own").await.unwrap().state == ProviderState::Ok).await;

    pause(&broker.nats, &own, lasting(Some("a"), 3_600)).await.unwrap();
    until_off(&broker, Some("a")).await;
    let (before_a, before_b) = (asked(&stand_in, "/a"), asked(&stand_in, "/b"));
    eventually(async || asked(&stand_in, "/b") > before_b + 3).await;
    assert_eq!(asked(&stand_in, "/a"), before_a, "only the other one is asked");
    assert_eq!(pauses(&broker.nats).await.unwrap().len(), 1);
    assert_eq!(resume(&broker.nats, "own", Some("b")).await.unwrap(), []);
    assert_eq!(resume(&broker.nats, "own", Some("a")).await.unwrap().len(), 1);
    eventually(async || asked(&stand_in, "/a") > before_a).await;
    role.stop().await;
}

#[tokio::test]
async fn a_pause_ends_by_itself() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::json(r#"{"value": 1}"#)]).await;
    let (_folder, config) = config(&stand_in);
    let own = summary(&config);
    assert!(pause(&broker.nats, &own, lasting(Some("c"), 60)).await.is_err(), "no such endpoint");
    assert!(pause(&broker.nats, &own, lasting(None, 8 * 86_400)).await.is_err(), "too long");
    let begun = Instant::now();
    pause(&broker.nats, &own, lasting(None, 4)).await.unwrap();
    let role = start(&broker, config, "a").await;
    eventually(async || asked(&stand_in, "/a") > 0).await;
    let first = stand_in.requests().first().unwrap().at;
    assert!(first - begun >= Duration::from_secs(4), "{:?}", first - begun);
    assert_eq!(pauses(&broker.nats).await.unwrap(), []);
    role.stop().await;
}

#[tokio::test]
async fn a_try_is_asked_by_the_instance_that_polls_also_while_it_is_paused() {
    let broker = Broker::start_with_users().await;
    let stand_in = StandIn::start([Reply::json(r#"{"value": 1}"#)]).await;
    let (_folder, config) = config(&stand_in);
    let wait = Duration::from_secs(20);
    let short = Duration::from_millis(300);
    let alone = try_elsewhere(&broker.nats, "0", "own", Some("a"), short).await.unwrap();
    assert_eq!(alone, None, "no one polls");
    pause(&broker.nats, &summary(&config), lasting(None, 3_600)).await.unwrap();
    let role = start(&broker, config, "a").await;
    until_off(&broker, None).await;
    let api = broker.connect_as("api").await;
    let tried = try_elsewhere(&api, "1", "own", Some("a"), wait).await.unwrap().unwrap();
    assert!(tried.complete && tried.problem.is_none(), "{tried:?}");
    let [run] = tried.runs.as_slice() else { panic!("{tried:?}") };
    assert_eq!((run.endpoint.as_str(), run.events, run.error.as_ref()), ("a", 1, None));
    let all = try_elsewhere(&api, "2", "own", None, wait).await.unwrap().unwrap();
    assert_eq!(all.runs.len(), 2, "{all:?}");
    assert_eq!(broker.count("SIGNALS").await, 0, "nothing is published");
    role.stop().await;
}
