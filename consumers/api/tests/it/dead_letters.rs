//! Dead letters are looked at, handed back and given up as by `crypto-intel dlq`.

use bytes::Bytes;
use crypto_intel_api::Config;
use crypto_intel_nats::{StreamMessage, dead_letter, list_dead_letters};
use crypto_intel_notify::Language;
use crypto_intel_schemas::{Alert, ApiRole, Event, Kind, samples};
use serde_json::{Value, json};

use crate::{
    audit::told,
    harness::{Answer, Api, Servers, answered},
};

fn alert(chain: &str, route: &str) -> Event {
    let Event::Alert(sample) = samples::sample(Kind::Alert) else { panic!() };
    let routes = vec![route.to_owned()];
    let title = "\u{202e}hostile".to_owned();
    Event::from(Alert { chain: Some(chain.into()), routes, title, chart: None, ..sample })
}

/// Makes a dead letter of a body, and returns its sequence among them.
async fn put(servers: &Servers, consumer: &str, body: Vec<u8>, sequence: u64) -> u64 {
    let message = StreamMessage {
        subject: "alert.fired.rule".to_owned(),
        schema: None,
        headers: None,
        payload: Bytes::from(body),
        sequence,
        stored_at_us: 1_764_400_000_000_000,
        remaining: 0,
    };
    dead_letter(&servers.nats, consumer, "ALERT", &message, "chat not found").await.unwrap();
    list_dead_letters(&servers.nats, None, 1).await.unwrap()[0].dlq_sequence
}

async fn send(api: &Api, key: &str, method: &str, path: &str) -> Answer {
    answered(api.request(method, path).bearer_auth(key)).await
}

fn config() -> Config {
    Config { languages: [("ops".to_owned(), Language::Es)].into(), ..Config::default() }
}

async fn left(servers: &Servers) -> Vec<u64> {
    let letters = list_dead_letters(&servers.nats, None, 100).await.unwrap();
    letters.iter().map(|letter| letter.dlq_sequence).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_shown_handed_back_once_and_told() {
    let servers = Servers::start().await;
    let api = servers.api(config()).await;
    let key = servers.key(&api, ApiRole::Operator, None).await;
    let event = alert("base", "ops");
    let first = put(&servers, "notify", event.encode(), 1).await;
    let broken = put(&servers, "persist", vec![0xc1], 2).await;

    let listed = api.get_as(&key, "/api/v1/dead-letters").await;
    let [newest, oldest] = listed.body["items"].as_array().unwrap().as_slice() else {
        panic!("{listed:?}")
    };
    assert_eq!(
        (&newest["dlq_sequence"], &newest["error"]),
        (&json!(broken), &json!("chat not found"))
    );
    assert!(newest["not_shown"].is_string() && newest.get("event").is_none(), "{newest}");
    assert_eq!((&oldest["event"], &oldest["chain"]), (&event.to_json(), &json!("base")));

    let again = format!("/api/v1/dead-letters/{broken}/retry");
    let refused = send(&api, &key, "POST", &again).await;
    assert_eq!(refused.problem(), "unprocessable", "only notify's are handed back");
    let path = format!("/api/v1/dead-letters/{first}/retry");
    let nowhere = send(&api, &key, "POST", &format!("{path}?to=nothing")).await;
    assert!(nowhere.body["detail"].as_str().unwrap().contains("known: ops"), "{nowhere:?}");
    let retry = || api.request("POST", &path).bearer_auth(&key).header("idempotency-key", "once");
    let back = answered(retry()).await;
    assert_eq!((back.status, &back.body["destinations"]), (200, &json!(["ops"])), "{back:?}");
    assert_eq!(answered(retry()).await.header("idempotent-replayed"), "true");
    let waiting = servers.nats.stream_state("OUTBOX").await.unwrap();
    assert_eq!(waiting.messages, 1, "one message for its sender");
    assert_eq!(left(&servers).await, [broken], "it has left");
    assert_eq!(send(&api, &key, "POST", &path).await.problem(), "not-found");

    let place = format!("/api/v1/dead-letters/{broken}");
    assert_eq!(send(&api, &key, "DELETE", &place).await.status, 204);
    assert_eq!(send(&api, &key, "DELETE", &place).await.problem(), "not-found");
    assert_eq!(left(&servers).await, [0_u64; 0]);
    let told = told(&servers).await;
    let told: Vec<_> = told.iter().map(|one| (one.action.as_str(), one.target.clone())).collect();
    assert_eq!(
        told,
        [
            ("dead_letter.retry", Some(first.to_string())),
            ("dead_letter.remove", Some(broken.to_string()))
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_letters_of_a_consumer_are_cleared_and_those_of_other_chains_stay() {
    let servers = Servers::start().await;
    let api = servers.api(config()).await;
    let of_base = servers.key(&api, ApiRole::Operator, Some(&["base"])).await;
    let base = put(&servers, "notify", alert("base", "ops").encode(), 1).await;
    let lost = put(&servers, "notify", alert("base", "gone").encode(), 2).await;
    let other = put(&servers, "notify", alert("ethereum", "ops").encode(), 3).await;
    let rows = put(&servers, "persist", alert("base", "ops").encode(), 4).await;

    let listed = api.get_as(&of_base, "/api/v1/dead-letters").await.body;
    let sequences: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().map(|one| &one["dlq_sequence"]).collect();
    assert_eq!(sequences, [&json!(rows), &json!(lost), &json!(base)]);
    for (method, path) in [
        ("POST", format!("/api/v1/dead-letters/{other}/retry")),
        ("DELETE", format!("/api/v1/dead-letters/{other}")),
    ] {
        let refused = send(&api, &of_base, method, &path).await;
        assert_eq!(refused.problem(), "not-found", "another chain's is as one that is not there");
    }
    let path = "/api/v1/dead-letters/retry?consumer=notify";
    let back = send(&api, &of_base, "POST", path).await;
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(back.body["handed_back"][0]["dlq_sequence"], base);
    assert_eq!(back.body["refused"][0]["dlq_sequence"], lost);
    assert_eq!(left(&servers).await, [lost, other, rows]);

    let all = "/api/v1/dead-letters";
    assert_eq!(send(&api, &of_base, "DELETE", all).await.problem(), "bad-parameter");
    let gone = send(&api, &of_base, "DELETE", &format!("{all}?consumer=notify")).await;
    assert_eq!((gone.status, &gone.body["removed"]), (200, &json!([lost])), "{gone:?}");
    assert_eq!(left(&servers).await, [other, rows]);
    let told = told(&servers).await;
    assert!(told.iter().all(|one| one.target.as_deref() == Some("notify")));
    assert!(told[1].before.as_deref().unwrap().contains("chat not found"));
    let viewer = servers.key(&api, ApiRole::Analyst, None).await;
    assert_eq!(send(&api, &viewer, "DELETE", &format!("{all}?consumer=notify")).await.status, 403);
}
