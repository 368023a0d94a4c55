//! Several instances, and a broker that goes away.

use std::collections::HashSet;

use crypto_intel_poll::ProviderSettings;
use crypto_intel_testkit::{Broker, RunningRole, eventually};
use serde_json::json;

use crate::{
    harness::{event_of, only, start},
    stand_in::{Reply, StandIn},
};

fn each_second() -> ProviderSettings {
    ProviderSettings {
        every_seconds: Some(1),
        parameters: [("assets".to_owned(), json!(["bitcoin"]))].into(),
        ..ProviderSettings::default()
    }
}

/// Answers without a time: each slot is an event of its own.
async fn ticking() -> StandIn {
    StandIn::start([Reply::json(r#"{"bitcoin": {"usd": 64000.5}}"#)]).await
}

async fn assert_each_event_once(broker: &Broker) -> usize {
    let messages = broker.messages("MARKET").await;
    let ids: HashSet<String> =
        messages.iter().map(|message| event_of(message).id().to_owned()).collect();
    assert_eq!(ids.len(), messages.len(), "an event is in the stream twice");
    ids.len()
}

#[tokio::test]
async fn one_of_two_instances_polls_and_the_other_takes_over() {
    let broker = Broker::start_with_users().await;
    let stand_in = ticking().await;
    let config = only(&[("coingecko", &stand_in, each_second())]);
    let roles =
        [start(&broker, config.clone(), "a").await, start(&broker, config.clone(), "b").await];
    eventually(async || broker.count("MARKET").await >= 3).await;
    let leader = |role: &RunningRole| role.metric("crypto_intel_leader", &["poll.coingecko"]) > 0.0;
    assert_eq!(roles.iter().filter(|role| leader(role)).count(), 1, "one polls");
    eventually(async || roles.iter().all(|role| role.is_healthy("poll.coingecko"))).await;
    let requests = stand_in.requests().len();
    let published = assert_each_event_once(&broker).await;
    assert!(requests.abs_diff(published) <= 2, "{requests} requests, {published} events");

    // The leader dies without releasing its lease.
    let (active, standby): (Vec<RunningRole>, Vec<RunningRole>) =
        roles.into_iter().partition(leader);
    for role in active {
        role.kill().await;
    }
    eventually(async || leader(&standby[0])).await;
    let before = broker.count("MARKET").await;
    eventually(async || broker.count("MARKET").await >= before + 2).await;
    assert_each_event_once(&broker).await;
    for role in standby {
        role.stop().await;
    }
}

#[tokio::test]
async fn polling_resumes_after_the_broker_was_away() {
    let mut broker = Broker::start_with_users().await;
    let stand_in = ticking().await;
    let role = start(&broker, only(&[("coingecko", &stand_in, each_second())]), "a").await;
    eventually(async || broker.count("MARKET").await >= 2).await;
    broker.server.kill().unwrap();
    let asked = stand_in.requests().len();
    broker.server.start_again().await.unwrap();
    let before = {
        eventually(async || broker.count("MARKET").await >= 2).await;
        broker.count("MARKET").await
    };
    eventually(async || broker.count("MARKET").await >= before + 3).await;
    assert!(stand_in.requests().len() > asked);
    assert_each_event_once(&broker).await;
    role.until_healthy("poll.coingecko.simple-price").await;
    role.stop().await;
}
