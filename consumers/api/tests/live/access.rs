//! Who may connect, and what they see.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto_intel_api::{Config, LiveConfig};
use crypto_intel_schemas::{ApiRole, Event};
use crypto_intel_testkit::{Broker, assert_same_set, eventually};
use serde_json::{Value, json};

use crate::{
    chain::{TestBlock, expected},
    client::Client,
    server::{Api, http, key},
};

#[tokio::test]
async fn pages_of_others_are_refused() {
    let broker = Broker::start().await;
    let live = LiveConfig {
        allowed_origins: vec!["https://desk.example".to_owned()],
        ..LiveConfig::default()
    };
    let api = Api::open(&broker.nats, live).await;
    let own = format!("http://{}", api.address);
    for (origin, expected) in [
        (own.as_str(), None),
        ("https://desk.example", None),
        ("https://evil.example", Some(403)),
        ("http://127.0.0.1:1", Some(403)),
        ("null", Some(403)),
    ] {
        let opened = Client::try_open(&api.socket(), &[("origin", origin)]).await;
        assert_eq!(opened.err(), expected, "{origin}");
    }
}

#[tokio::test]
async fn a_key_comes_by_header_message_or_subprotocol_and_never_by_address() {
    let broker = Broker::start().await;
    let api = Api::with(&broker.nats, Config::default()).await;
    let key = key(&broker, ApiRole::Viewer, None).await;
    let bearer = format!("Bearer {key}");
    eventually(async || {
        Client::try_open(&api.socket(), &[("authorization", &bearer)]).await.is_ok()
    })
    .await;
    let protocols = format!("crypto-intel.v1.json, bearer.{}", URL_SAFE_NO_PAD.encode(&key));
    for headers in
        [[("authorization", bearer.as_str())], [("sec-websocket-protocol", protocols.as_str())]]
    {
        let mut client = Client::try_open(&api.socket(), &headers).await.unwrap();
        assert_eq!(client.next().await["role"], "viewer");
        assert_eq!(client.subscribe(json!({"service": "onchain"})).await["type"], "subscribed");
    }
    let mut client = Client::open(&api.socket()).await;
    let early = client.subscribe(json!({"service": "onchain"})).await;
    assert_eq!(early["problem"]["status"], 401);
    client.send(json!({"action": "auth", "token": key})).await;
    assert_eq!(client.until("authenticated").await["role"], "viewer");
    assert_eq!(client.subscribe(json!({"service": "onchain"})).await["type"], "subscribed");
    for path in ["?token=", "/alerts?key="] {
        let url = format!("{}{path}{key}", api.socket());
        assert_eq!(Client::try_open(&url, &[]).await.err(), Some(400));
    }
}

#[tokio::test]
async fn a_session_connects_the_own_page_alone_until_it_ends() {
    let broker = Broker::start().await;
    let live = LiveConfig {
        allowed_origins: vec!["https://desk.example".to_owned()],
        ..LiveConfig::default()
    };
    let api = Api::with(&broker.nats, Config { live, ..Config::default() }).await;
    let key = key(&broker, ApiRole::Viewer, None).await;
    let begin = || http().post(api.url("/api/v1/session")).bearer_auth(&key);
    eventually(async || begin().send().await.unwrap().status() == 201).await;
    let begun = begin().send().await.unwrap();
    let cookie =
        begun.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let own = format!("http://{}", api.address);
    let with = |origin: &'static str| [("cookie", cookie.clone()), ("origin", origin.to_owned())];
    for [cookie, origin] in
        [with("https://desk.example"), with("https://evil.example"), with("null")]
    {
        let headers = [(cookie.0, cookie.1.as_str()), (origin.0, origin.1.as_str())];
        assert_eq!(Client::try_open(&api.socket(), &headers).await.err(), Some(403), "{origin:?}");
    }
    let headers = [("cookie", cookie.as_str())];
    assert_eq!(Client::try_open(&api.socket(), &headers).await.err(), Some(403), "no page");
    let headers = [("cookie", cookie.as_str()), ("origin", own.as_str())];
    let mut client = Client::try_open(&api.socket(), &headers).await.unwrap();
    assert_eq!(client.next().await["role"], "viewer");
    assert_eq!(client.subscribe(json!({"service": "onchain"})).await["type"], "subscribed");
    let end = http().delete(api.url("/api/v1/session")).header("cookie", &cookie);
    assert_eq!(end.header("origin", &own).send().await.unwrap().status(), 204);
    assert_eq!(client.until_closed().await.code, Some(4401));
}

#[tokio::test]
async fn who_has_no_key_that_counts_is_cut_off() {
    let broker = Broker::start().await;
    let api = Api::with(&broker.nats, Config::default()).await;
    let refused = Client::try_open(&api.socket(), &[("authorization", "Bearer ci_nonsense")]).await;
    assert_eq!(refused.err(), Some(401));
    let mut guessing = Client::open(&api.socket()).await;
    guessing.send(json!({"action": "auth", "token": "ci_nonsense"})).await;
    let error = guessing.until("error").await;
    assert_eq!(error["problem"]["status"], 401);
    assert_eq!(guessing.until_closed().await.code, Some(4401));
    let mut silent = Client::open(&api.socket()).await;
    let ended = silent.until_closed().await;
    assert_eq!((ended.code, &ended.bye.unwrap()["reason"]), (Some(4401), &json!("no key in time")));
}

#[tokio::test]
async fn a_revoked_key_ends_its_connections() {
    let broker = Broker::start().await;
    let api = Api::with(&broker.nats, Config::default()).await;
    let key = key(&broker, ApiRole::Viewer, None).await;
    let bearer = format!("Bearer {key}");
    eventually(async || {
        Client::try_open(&api.socket(), &[("authorization", &bearer)]).await.is_ok()
    })
    .await;
    let mut client = Client::try_open(&api.socket(), &[("authorization", &bearer)]).await.unwrap();
    client.subscribe(json!({"service": "onchain"})).await;
    let keys = crypto_intel_api::Keys::open(&broker.nats).await.unwrap();
    keys.revoke(key.split('_').nth(1).unwrap()).await.unwrap();
    let ended = client.until_closed().await;
    assert_eq!((ended.code, &ended.bye.unwrap()["reason"]), (Some(4401), &json!("key revoked")));
}

#[tokio::test]
async fn a_key_sees_its_chains_and_what_its_role_may() {
    let broker = Broker::start().await;
    let api = Api::with(&broker.nats, Config::default()).await;
    let key = key(&broker, ApiRole::Viewer, Some(&["base"])).await;
    let bearer = format!("Bearer {key}");
    eventually(async || {
        Client::try_open(&api.socket(), &[("authorization", &bearer)]).await.is_ok()
    })
    .await;
    let mut client = Client::try_open(&api.socket(), &[("authorization", &bearer)]).await.unwrap();
    client.until("hello").await;
    let nodes = client.subscribe(json!({"service": "rpc_nodes"})).await;
    assert_eq!(nodes["problem"]["status"], 403);
    assert!(nodes["problem"]["detail"].as_str().unwrap().contains("ops"));
    let all = client.subscribe(json!({"service": "all"})).await;
    let kinds = all["filters"]["kinds"].as_array().unwrap();
    assert!(!kinds.contains(&json!("node")) && kinds.contains(&json!("price")));
    assert_eq!(all["filters"]["chains"], json!(["base"]));
    let (base, ethereum) =
        (TestBlock::new("base", 1, 5).under(1), TestBlock::new("ethereum", 1, 5).under(1));
    broker.publish(ethereum).await;
    broker.publish(base.clone()).await;
    client.until_received(6).await;
    assert_same_set(expected([&base], |_: &Event| true), client.received.clone());
}

#[tokio::test]
async fn connections_of_an_address_are_bounded() {
    let broker = Broker::start().await;
    let live = LiveConfig { max_connections_per_address: 2, ..LiveConfig::default() };
    let config = Config { anonymous_role: Some(ApiRole::Viewer), live, ..Config::default() };
    let api = Api::with(&broker.nats, config).await;
    let first = Client::open(&api.socket()).await;
    let _second = Client::open(&api.socket()).await;
    assert_eq!(Client::try_open(&api.socket(), &[]).await.err(), Some(429));
    let response = http().get(api.url("/api/v1/stream?service=onchain")).send().await.unwrap();
    assert_eq!(response.status(), 429);
    let problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("this address"), "{problem}");
    drop(first);
    eventually(async || Client::try_open(&api.socket(), &[]).await.is_ok()).await;
}

#[tokio::test]
async fn every_service_is_at_the_addresses_that_clients_know() {
    let broker = Broker::start().await;
    let api = Api::open(&broker.nats, LiveConfig::default()).await;
    for service in [
        "market_data",
        "onchain",
        "explorers",
        "whale_tracking",
        "news",
        "sentiment",
        "rpc_nodes",
        "health_checker",
        "scheduler",
        "alerts",
    ] {
        for name in [service.to_owned(), service.replace('_', "-")] {
            for place in ["/ws", "/api/v1/ws"] {
                let url = format!("ws://{}{place}/{name}", api.address);
                let mut client = Client::open(&url).await;
                assert_eq!(client.until("subscribed").await["service"], service, "{url}");
            }
        }
    }
    for place in ["/ws", "/api/v1/ws"] {
        let url = format!("ws://{}{place}", api.address);
        let mut client = Client::open(&url).await;
        assert_eq!(client.subscribe(json!({"service": "rpc-nodes"})).await["type"], "subscribed");
    }
}
