//! Clients that ask too much, or nonsense.

use crypto_intel_api::LiveConfig;
use crypto_intel_testkit::{Broker, eventually};
use futures::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::Client,
    server::{Api, http},
};

async fn api() -> (Broker, Api) {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    (broker, api)
}

#[tokio::test]
async fn a_connection_has_64_subscriptions_at_most() {
    let (_broker, api) = api().await;
    let mut client = Client::open(&api.socket()).await;
    for place in 0..64 {
        let answer =
            client.subscribe(json!({"id": format!("s{place}"), "service": "onchain"})).await;
        assert_eq!(answer["type"], "subscribed");
    }
    let refused = client.subscribe(json!({"id": "s64", "service": "onchain"})).await;
    assert_eq!((&refused["id"], &refused["problem"]["status"]), (&json!("s64"), &json!(429)));
    drop(client);
    eventually(async || api.metric("subscriptions", &[]) == 0.0).await;
}

#[tokio::test]
async fn a_subscription_has_a_thousand_addresses_at_most_and_all_clients_a_bound() {
    let broker = Broker::start().await;
    let few = LiveConfig { max_addresses: 1_500, ..LiveConfig::default() };
    let api = Api::open(&broker.nats, few).await;
    let mut client = Client::open(&api.socket()).await;
    let addresses = |from: u32, count: u32| -> Vec<String> {
        (from..from + count).map(|number| format!("0x{number:040x}")).collect()
    };
    let many = client.subscribe(json!({"id": "a", "addresses": addresses(0, 1_001)})).await;
    assert_eq!(many["problem"]["status"], 400);
    assert!(many["problem"]["detail"].as_str().unwrap().contains("1001 are more than 1000"));
    assert_eq!(
        client.subscribe(json!({"id": "b", "addresses": addresses(0, 1_000)})).await["type"],
        "subscribed"
    );
    let full = client.subscribe(json!({"id": "c", "addresses": addresses(5_000, 1_000)})).await;
    assert_eq!(full["problem"]["status"], 503);
    client.send(json!({"action": "unsubscribe", "id": "b"})).await;
    client.until("unsubscribed").await;
    assert_eq!(
        client.subscribe(json!({"id": "c", "addresses": addresses(5_000, 1_000)})).await["type"],
        "subscribed"
    );
}

#[tokio::test]
async fn nonsense_is_named_and_the_connection_stays() {
    let (_broker, api) = api().await;
    let mut client = Client::open(&api.socket()).await;
    for (text, part) in [
        ("hello", "not JSON"),
        ("{\"action\":\"follow\"}", "follow"),
        ("{\"action\":\"subscribe\",\"wallets\":[]}", "wallets"),
        ("{\"action\":\"subscribe\",\"service\":\"on_chain\"}", "on_chain"),
        ("{\"action\":\"subscribe\",\"addresses\":[\"0x1\"]}", "addresses[0]"),
        ("{\"action\":\"subscribe\",\"resume\":\"yesterday\"}", "no place in a stream"),
        ("{\"action\":\"subscribe\",\"snapshot\":-1}", "-1"),
    ] {
        client.send_text(text.to_owned()).await;
        let error = client.until("error").await;
        let detail = error["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{text}: {detail}");
        assert_eq!(error["problem"]["status"], 400);
    }
    let deep = "[".repeat(20_000);
    client.send_text(deep).await;
    assert_eq!(client.until("error").await["problem"]["status"], 400);
    client.socket.send(Message::binary(vec![0xc1; 100])).await.unwrap();
    assert!(
        client.until("error").await["problem"]["detail"].as_str().unwrap().contains("MessagePack")
    );
    assert_eq!(client.subscribe(json!({"service": "onchain"})).await["type"], "subscribed");
}

#[tokio::test]
async fn who_sends_too_many_messages_is_cut_off() {
    let (_broker, api) = api().await;
    let mut client = Client::open(&api.socket()).await;
    for _ in 0..300 {
        client.send(json!({"action": "ping"})).await;
    }
    let ended = client.until_closed().await;
    assert_eq!(ended.code, Some(4429));
    assert_eq!(ended.bye.unwrap()["reason"], "too many messages");
}

#[tokio::test]
async fn who_sends_too_large_a_message_is_cut_off() {
    let (_broker, api) = api().await;
    let mut client = Client::open(&api.socket()).await;
    client.send(json!({"action": "ping", "data": "x".repeat(100_000)})).await;
    let ended = client.until_closed().await;
    assert_eq!(ended.code, Some(1009));
    eventually(async || api.metric("closed_total", &["message too large"]) == 1.0).await;
}

#[tokio::test]
async fn who_does_not_subscribe_is_cut_off() {
    let (_broker, api) = api().await;
    let mut client = Client::open(&api.socket()).await;
    assert_eq!(client.until_closed().await.code, Some(4408));
}

#[tokio::test]
async fn plain_requests_are_told_that_this_is_a_websocket() {
    let (_broker, api) = api().await;
    let response = http().get(api.url("/ws")).send().await.unwrap();
    assert_eq!(response.status(), 400);
    let text = response.text().await.unwrap();
    assert!(text.contains("this is a websocket"), "{text}");
}
