//! Many clients, and one that does not read.

use crypto_intel_api::LiveConfig;
use crypto_intel_schemas::{Event, Kind};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};
use serde_json::json;

use crate::{
    chain::{TestBlock, expected, publish},
    client::Client,
    server::Api,
};

fn blocks(first: u64, count: u64, events: u32) -> Vec<Vec<Event>> {
    (first..first + count).map(|number| TestBlock::new("base", number, events).under(1)).collect()
}

fn is_no_marker(event: &Event) -> bool {
    event.kind() != Kind::Block
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_disturbs_nobody() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let mut silent = Client::open(&api.socket()).await;
    silent.subscribe(json!({"service": "onchain"})).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut client = Client::open(&api.socket()).await;
        client.subscribe(json!({"service": "onchain"})).await;
        others.push(client);
    }
    // Far more than what sockets buffer and a cohort keeps.
    let batches = blocks(1, 60, 400);
    let all = expected(&batches, is_no_marker);
    let wanted = all.len();
    let reading: Vec<_> = others
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                client.until_received(wanted).await;
                client
            })
        })
        .collect();
    publish(&broker, &batches).await;
    for reader in reading {
        let client = reader.await.unwrap();
        assert_same_set(all.clone(), client.received.clone());
        assert!(client.gaps.is_empty(), "{:?}", client.gaps);
    }
    // What waits for it is bounded: it has lost its place, or its connection.
    eventually(async || {
        api.metric("lagged_total", &[]) + api.metric("closed_total", &["slow"]) > 0.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_slow_is_brought_up_from_memory_or_told_of_a_gap() {
    let broker = Broker::start().await;
    let small = LiveConfig { ring_events: 4_000, ..LiveConfig::default() };
    let api = Api::open(&broker.nats, small).await;
    let mut slow = Client::open(&api.socket()).await;
    slow.subscribe(json!({"service": "onchain"})).await;
    let batches = blocks(1, 60, 400);
    publish(&broker, &batches).await;
    eventually(async || api.metric("received_total", &["EVM"]) as usize == batches.concat().len())
        .await;
    let all = expected(&batches, is_no_marker);
    // What it has not read by now may be left out: then it is told where live goes on.
    while slow.gaps.is_empty() && slow.received.last() != all.last() {
        let message = slow.next().await;
        slow.take(&message);
    }
    let block = blocks(900, 1, 5);
    publish(&broker, &block).await;
    let next = expected(&block, is_no_marker);
    slow.until_has(next.last().unwrap()).await;
    let kept = slow.received.len() - next.len();
    assert_eq!(slow.received.split_off(kept), next);
    if slow.gaps.is_empty() {
        assert_eq!(slow.received, all);
        return;
    }
    assert_eq!(slow.gaps[0]["reason"], "slow");
    let known: std::collections::HashSet<_> = slow.received.iter().collect();
    let missing = all.iter().filter(|one| !known.contains(one)).count() as u64;
    let told: u64 = slow
        .gaps
        .iter()
        .map(|gap| gap["to"].as_u64().unwrap() + 1 - gap["from"].as_u64().unwrap())
        .sum();
    assert!(missing > 0 && missing <= told, "{missing} missing, {told} sequences told");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_cut_and_all_come_back() {
    const CLIENTS: usize = 150;
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = blocks(1, 40, 20);
    let all = expected(&batches, is_no_marker);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::open(&api.socket()).await;
        client.subscribe(json!({"service": "onchain"})).await;
        clients.push(client);
    }
    publish(&broker, &batches[..20]).await;
    for client in &mut clients {
        client.until_received(100).await;
    }
    let places: Vec<_> =
        clients.into_iter().map(|client| (client.resume, client.received)).collect();
    publish(&broker, &batches[20..30]).await;
    let (url, last) = (api.socket(), all.last().unwrap().clone());
    let coming: Vec<_> = places
        .into_iter()
        .map(|(resume, received)| {
            let (url, last) = (url.clone(), last.clone());
            tokio::spawn(async move {
                let mut client = Client::open(&url).await;
                client.received = received;
                client
                    .send(json!({"action": "subscribe", "service": "onchain", "resume": resume}))
                    .await;
                client.until_has(&last).await;
                client.received
            })
        })
        .collect();
    publish(&broker, &batches[30..]).await;
    for client in coming {
        assert_eq!(client.await.unwrap(), all);
    }
}
