//! Clients that are cut, come back, or come late.

use crypto_intel_api::LiveConfig;
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{Event, Kind};
use crypto_intel_testkit::{Broker, SeededRandom, assert_same_set, eventually, small_topology};
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{
    chain::{Identity, TestBlock, expected, history, last_sequence, publish},
    client::Client,
    server::{Api, http},
};

fn is_no_marker(event: &Event) -> bool {
    event.kind() != Kind::Block
}

/// Reads until `last`, and is cut after random numbers of events on the way.
async fn read_with_cuts(url: String, wish: Value, last: Identity, seed: u64) -> Client {
    let mut random = SeededRandom::with_seed(seed);
    let mut client = Client::open(&url).await;
    client.subscribe(wish.clone()).await;
    loop {
        let cut_at = client.received.len() + random.random_range(1..400);
        while client.received.len() < cut_at {
            if client.received.contains(&last) {
                return client;
            }
            let message = client.next().await;
            client.take(&message);
        }
        let mut next = Client::open(&url).await;
        next.received = std::mem::take(&mut client.received);
        let mut again = wish.clone();
        again["resume"] = json!(client.resume);
        // The old one goes without a word.
        drop(client);
        next.subscribe(again).await;
        client = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_cut_again_and_again_miss_nothing() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = history("base", 1, 120, 25);
    let all = expected(&batches, is_no_marker);
    let swaps = expected(&batches, |event| event.kind() == Kind::Swap);
    let mut readers = Vec::new();
    let mut random = SeededRandom::from_environment();
    for place in 0..12 {
        let (wish, of) = match place % 2 {
            0 => (json!({"service": "onchain"}), &all),
            _ => (json!({"service": "onchain", "kinds": ["swap"]}), &swaps),
        };
        let last = of.last().unwrap().clone();
        let reading = read_with_cuts(api.socket(), wish, last, random.random());
        readers.push((tokio::spawn(reading), of));
    }
    eventually(async || api.metric("subscriptions", &[]) == 12.0).await;
    publish(&broker, &batches).await;
    for (reader, of) in readers {
        let client = reader.await.unwrap();
        assert_same_set(of.clone(), client.received.clone());
        assert_eq!(&client.received, of, "in order");
        assert!(client.gaps.is_empty(), "{:?}", client.gaps);
    }
    assert!(api.metric("resumed_total", &["memory"]) > 0.0);
}

#[tokio::test]
async fn what_memory_does_not_reach_is_read_from_the_stream() {
    let broker = Broker::start().await;
    let small = LiveConfig { ring_events: 300, ..LiveConfig::default() };
    let api = Api::open(&broker.nats, small).await;
    let batches = history("base", 1, 200, 20);
    let (early, late) = batches.split_at(5);
    let mut client = Client::open(&api.socket()).await;
    client.subscribe(json!({"service": "onchain"})).await;
    publish(&broker, early).await;
    client.until_received(100).await;
    let resume = client.resume.clone();
    drop(client.socket.close(None).await);
    publish(&broker, late).await;
    eventually(async || api.metric("received_total", &["EVM"]) as usize == batches.concat().len())
        .await;
    let mut again = Client::open(&api.socket()).await;
    again.received = client.received;
    again.send(json!({"action": "subscribe", "service": "onchain", "resume": resume})).await;
    let all = expected(&batches, is_no_marker);
    let last = all.last().unwrap();
    again.until_has(last).await;
    assert_eq!(again.received, all);
    assert!(again.gaps.is_empty(), "{:?}", again.gaps);
    assert_eq!(api.metric("resumed_total", &["stream"]), 1.0);
    // And live goes on.
    let block = TestBlock::new("base", 900, 5).under(1);
    broker.publish(block.clone()).await;
    let next = expected([&block], is_no_marker);
    again.until_has(next.last().unwrap()).await;
    assert_eq!(again.received, [all, next].concat());
}

async fn purge_to(nats: &Nats, stream: &str, sequence: u64) {
    let stream = nats.jetstream().get_stream(stream).await.unwrap();
    stream.purge().sequence(sequence).await.unwrap();
}

#[tokio::test]
async fn what_left_the_stream_is_told_as_a_gap() {
    let broker = Broker::start().await;
    let small = LiveConfig { ring_events: 100, ..LiveConfig::default() };
    let api = Api::open(&broker.nats, small).await;
    let batches = history("base", 1, 100, 10);
    publish(&broker, &batches).await;
    let last = last_sequence(&broker.nats, "EVM").await;
    eventually(async || api.metric("received_total", &["EVM"]) as u64 == last).await;
    purge_to(&broker.nats, "EVM", 600).await;
    let mut client = Client::open(&api.socket()).await;
    client.send(json!({"action": "subscribe", "service": "onchain", "resume": "EVM.11"})).await;
    let gap = client.until("gap").await;
    assert_eq!(
        (&gap["from"], &gap["to"], &gap["reason"]),
        (&json!(12), &json!(599), &json!("retention"))
    );
    // Everything that is left follows.
    let held: Vec<Event> = batches.concat().into_iter().skip(599).collect();
    let expected = expected([&held], is_no_marker);
    client.until_has(expected.last().unwrap()).await;
    assert_same_set(expected, client.received.clone());
}

#[tokio::test]
async fn a_stream_made_anew_is_told_as_a_gap_to_all() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = history("base", 1, 10, 10);
    let mut listening = Client::open(&api.socket()).await;
    listening.subscribe(json!({"service": "onchain"})).await;
    publish(&broker, &batches).await;
    let all = expected(&batches, is_no_marker);
    listening.until_has(all.last().unwrap()).await;
    let resume = listening.resume.clone();
    broker.nats.jetstream().delete_stream("EVM").await.unwrap();
    small_topology().apply(&broker.nats, false).await.unwrap();
    let gap = listening.until("gap").await;
    assert_eq!((&gap["stream"], &gap["reason"]), (&json!("EVM"), &json!("reset")));
    listening.received.clear();
    let block = TestBlock::new("base", 50, 5).under(1);
    broker.publish(block.clone()).await;
    let next = expected([&block], is_no_marker);
    listening.until_has(next.last().unwrap()).await;
    assert_eq!(listening.received, next);
    // A place in the old stream is no place in this one.
    let mut late = Client::open(&api.socket()).await;
    late.send(json!({"action": "subscribe", "service": "onchain", "resume": resume})).await;
    assert_eq!(late.until("gap").await["reason"], "reset");
    let block = TestBlock::new("base", 51, 5).under(1);
    broker.publish(block.clone()).await;
    let next = expected([&block], is_no_marker);
    late.until_has(next.last().unwrap()).await;
    assert_eq!(late.received, next);
}

#[tokio::test]
async fn a_client_goes_on_at_another_process_and_after_a_restart() {
    let broker = Broker::start().await;
    let first = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = history("base", 1, 30, 10);
    let all = expected(&batches, is_no_marker);
    let mut client = Client::open(&first.socket()).await;
    client.subscribe(json!({"service": "onchain"})).await;
    publish(&broker, &batches[..10]).await;
    client.until_received(50).await;
    let (resume, received) = (client.resume.clone(), client.received.clone());
    first.role.kill().await;
    publish(&broker, &batches[10..20]).await;
    let second = Api::open(&broker.nats, LiveConfig::default()).await;
    let mut client = Client::open(&second.socket()).await;
    client.received = received;
    client.send(json!({"action": "subscribe", "service": "onchain", "resume": resume})).await;
    publish(&broker, &batches[20..]).await;
    client.until_has(all.last().unwrap()).await;
    assert_eq!(client.received, all);
    // What was published before it started is in its memory.
    assert_eq!(second.metric("resumed_total", &["stream"]), 0.0);
}

#[tokio::test]
async fn the_broker_may_restart_under_clients() {
    let mut broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let batches = history("base", 1, 20, 10);
    let all = expected(&batches, is_no_marker);
    let mut client = Client::open(&api.socket()).await;
    client.subscribe(json!({"service": "onchain"})).await;
    publish(&broker, &batches[..10]).await;
    broker.server.kill().unwrap();
    broker.server.start_again().await.unwrap();
    eventually(async || broker.nats.stream_state("EVM").await.is_ok()).await;
    publish(&broker, &batches[10..]).await;
    client.until_has(all.last().unwrap()).await;
    assert_eq!(client.received, all);
    assert!(client.gaps.is_empty(), "{:?}", client.gaps);
}

#[tokio::test]
async fn the_process_says_goodbye() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    let mut client = Client::open(&api.socket()).await;
    client.subscribe(json!({"service": "onchain"})).await;
    let url = api.url("/api/v1/stream?service=alerts");
    let stream = tokio::spawn(async move { http().get(url).send().await.unwrap().text().await });
    eventually(async || api.metric("subscriptions", &[]) == 2.0).await;
    let stopping = tokio::spawn(api.role.stop());
    let ended = client.until_closed().await;
    assert_eq!(ended.code, Some(1001));
    let bye = ended.bye.unwrap();
    assert_eq!(bye["reason"], "shutdown");
    assert!(bye["retry_after_ms"].as_u64().unwrap() <= 5_000);
    stopping.await.unwrap();
    let text = stream.await.unwrap().unwrap();
    assert!(text.contains("event: bye\n"), "{text}");
}
