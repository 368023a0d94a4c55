//! What subscribers are told.

use crypto_intel_api::LiveConfig;
use crypto_intel_schemas::{Event, Kind, samples};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    chain::{TestBlock, expected, history, publish},
    client::Client,
    server::Api,
};

#[tokio::test]
async fn a_block_is_one_frame_and_its_events_are_those_of_the_stream() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let mut client = Client::open(&api.socket()).await;
    let subscribed = client.subscribe(json!({"id": "a", "service": "onchain"})).await;
    assert_eq!(subscribed["id"], "a");
    assert!(subscribed["filters"]["kinds"].as_array().unwrap().contains(&json!("swap")));
    let block = TestBlock::new("base", 7, 12).under(1);
    broker.publish(block.clone()).await;
    let frame = client.until("events").await;
    // The marker is of the service `explorers`.
    let bodies: Vec<_> = block[..12].iter().map(Event::to_json).collect();
    assert_eq!(frame["events"], json!(bodies));
    assert_eq!(frame["id"], "a");
    assert_eq!(frame["more"], false);
    assert_eq!(frame["blocks"][0]["number"], 7);
    assert_eq!(frame["blocks"][0]["removed"], false);
    let resume = frame["resume"].as_str().unwrap();
    assert!(resume.starts_with("EVM.13."), "{resume}");
}

#[tokio::test]
async fn filters_let_through_what_they_say() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let party = format!("{:#x}", TestBlock::party(3));
    let cases = [
        json!({"service": "onchain", "chains": ["base"]}),
        json!({"service": "onchain", "kinds": ["swap"]}),
        json!({"service": "onchain", "addresses": [party]}),
        json!({"service": "whale-tracking"}),
        json!({"service": "explorers", "chains": ["ethereum"]}),
    ];
    let mut clients = Vec::new();
    for case in &cases {
        let mut client = Client::open(&api.socket()).await;
        assert_eq!(client.subscribe(case.clone()).await["type"], "subscribed", "{case}");
        clients.push(client);
    }
    let batches: Vec<Vec<Event>> =
        [history("base", 1, 3, 20), history("ethereum", 1, 3, 20)].concat();
    publish(&broker, &batches).await;
    let chain_is = |event: &Event, chain: &str| event.block_fields().unwrap().chain == chain;
    let is_marker = |event: &Event| event.kind() == Kind::Block;
    let keeps: [&dyn Fn(&Event) -> bool; 5] = [
        &|event| chain_is(event, "base") && !is_marker(event),
        &|event| event.kind() == Kind::Swap,
        &|event| event.touched().iter().any(|address| *address == TestBlock::party(3)),
        &|event| {
            let Event::Erc20Transfer(transfer) = event else { return false };
            transfer.usd.as_ref().unwrap().to_f64() >= 1e6
        },
        &|event| chain_is(event, "ethereum") && is_marker(event),
    ];
    for (client, keep) in clients.iter_mut().zip(keeps) {
        let expected = expected(&batches, keep);
        assert!(!expected.is_empty());
        client.until_received(expected.len()).await;
        assert_same_set(expected, client.received.clone());
    }
}

#[tokio::test]
async fn every_service_tells_of_its_stream() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    for (service, kind) in [
        ("market_data", Kind::Price),
        ("news", Kind::Article),
        ("sentiment", Kind::Index),
        ("whale_tracking", Kind::Whale),
        ("rpc_nodes", Kind::NodeStatus),
        ("health_checker", Kind::ProviderStatus),
        ("alerts", Kind::Alert),
        ("deliveries", Kind::Delivery),
        ("all", Kind::Metric),
    ] {
        // As a path, with a hyphen.
        let path = format!("{}/{}", api.socket(), service.replace('_', "-"));
        let mut client = Client::open(&path).await;
        assert_eq!(client.next().await["service"], service);
        let mut event = samples::sample(kind);
        event.set_id(format!("{}:{service}", event.id()));
        broker.publish([event.clone()]).await;
        let frame = client.until("events").await;
        assert_eq!(frame["events"], json!([event.to_json()]), "{service}");
    }
}

#[tokio::test]
async fn equal_filters_are_written_once() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let mut clients = Vec::new();
    for place in 0..10 {
        let mut client = Client::open(&api.socket()).await;
        let chains = if place % 2 == 0 { ["base", "ethereum"] } else { ["ethereum", "base"] };
        let wish = json!({"id": format!("c{place}"), "service": "onchain", "chains": chains, "min_usd": "0.0"});
        client.subscribe(wish).await;
        clients.push(client);
    }
    assert_eq!((api.metric("subscriptions", &[]), api.metric("cohorts", &[])), (10.0, 1.0));
    let batches: Vec<_> =
        (1..=20).map(|number| TestBlock::new("base", number, 10).under(1)).collect();
    publish(&broker, &batches).await;
    for client in &mut clients {
        client.until_received(160).await;
    }
    assert_eq!(api.metric("frames_made_total", &[]), 20.0);
    assert_eq!(api.metric("events_sent_total", &[]), 1_600.0);
    drop(clients);
    eventually(async || api.metric("cohorts", &[]) == 0.0).await;
    // Without listeners nothing is written.
    publish(&broker, &batches[..1]).await;
    eventually(async || api.metric("received_total", &["EVM"]) >= 231.0).await;
    assert_eq!(api.metric("frames_made_total", &[]), 20.0);
}

#[tokio::test]
async fn a_snapshot_is_followed_by_live_without_a_hole() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = history("base", 1, 60, 10);
    let keep = |event: &Event| event.kind() != Kind::Block;
    let all = expected(&batches, keep);
    let (early, late) = batches.split_at(20);
    publish(&broker, early).await;
    let published = early.concat().len() as f64;
    eventually(async || api.metric("received_total", &["EVM"]) >= published).await;
    let publishing = async { publish(&broker, late).await };
    let subscribing = async {
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = Client::open(&api.socket()).await;
            client.send(json!({"action": "subscribe", "service": "onchain", "snapshot": 50})).await;
            let mut snapshot = client.until("snapshot").await;
            while snapshot["more"] == true {
                snapshot = client.until("snapshot").await;
            }
            assert_eq!(client.received.len(), 50);
            clients.push(client);
        }
        clients
    };
    let ((), clients) = tokio::join!(publishing, subscribing);
    for mut client in clients {
        client.until_has(all.last().unwrap()).await;
        let from = all.iter().position(|identity| *identity == client.received[0]).unwrap();
        assert_eq!(client.received, all[from..]);
    }
}

#[tokio::test]
async fn messagepack_carries_the_bodies_of_the_stream() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let protocol = [("sec-websocket-protocol", "crypto-intel.v1.msgpack")];
    let mut client = Client::try_open(&api.socket(), &protocol).await.unwrap();
    let subscribe = json!({"action": "subscribe", "service": "onchain"});
    let bytes = rmp_serde::to_vec_named(&subscribe).unwrap();
    client.socket.send(Message::binary(bytes)).await.unwrap();
    eventually(async || api.metric("subscriptions", &[]) == 1.0).await;
    let block = TestBlock::new("base", 7, 2).under(1);
    broker.publish(block.clone()).await;
    let mut types = Vec::new();
    loop {
        let Some(Ok(message)) = client.socket.next().await else { panic!("ended") };
        let Message::Binary(bytes) = message else { continue };
        let body = block[0].encode();
        if bytes.windows(body.len()).any(|window| *window == body) {
            break;
        }
        let value: serde_json::Value = rmp_serde::from_slice(&bytes).unwrap();
        types.push(value["type"].clone());
    }
    assert_eq!(types, ["hello", "subscribed"]);
}

#[tokio::test]
async fn subscriptions_are_listed_ended_and_answered() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let mut client = Client::open(&api.socket()).await;
    client.subscribe(json!({"id": "a", "service": "onchain"})).await;
    client.subscribe(json!({"id": "b", "service": "alerts"})).await;
    let twice = client.subscribe(json!({"id": "a", "service": "news"})).await;
    assert_eq!((&twice["type"], &twice["id"]), (&json!("error"), &json!("a")));
    assert!(twice["problem"]["detail"].as_str().unwrap().contains("is in use"), "{twice}");
    client.send(json!({"action": "list"})).await;
    let listed = client.until("subscriptions").await;
    let ids: Vec<_> =
        listed["subscriptions"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["a", "b"]);
    client.send(json!({"action": "unsubscribe", "service": "onchain"})).await;
    assert_eq!(client.until("unsubscribed").await["id"], "a");
    client.send(json!({"action": "unsubscribe", "id": "a"})).await;
    assert_eq!(client.until("error").await["problem"]["status"], 404);
    client.send(json!({"action": "ping", "data": [1, {"x": null}]})).await;
    assert_eq!(client.until("pong").await["data"], json!([1, {"x": null}]));
    eventually(async || api.metric("subscriptions", &[]) == 1.0).await;
}
