//! A change with an `Idempotency-Key` is made once.

use crypto_intel_api::Config;
use crypto_intel_nats::Bucket;
use crypto_intel_notify::Silences;
use crypto_intel_schemas::ApiRole;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Servers, answered};

fn silence(reason: &str) -> Value {
    json!({ "matchers": ["rule=depeg"], "seconds": 600, "reason": reason })
}

async fn send(api: &Api, bearer: &str, key: &str, body: &Value) -> Answer {
    let request = api.request("POST", "/api/v1/silences").bearer_auth(bearer).json(body);
    answered(request.header("idempotency-key", key)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_change_is_made_once_and_answered_alike_by_every_process() {
    let servers = Servers::start().await;
    let (one, two) = (servers.api(Config::default()).await, servers.api(Config::default()).await);
    let key = servers.key(&one, ApiRole::Analyst, None).await;
    let other = servers.key(&two, ApiRole::Analyst, None).await;
    let first = send(&one, &key, "a", &silence("maintenance")).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""), "{first:?}");
    for api in [&one, &two] {
        let again = send(api, &key, "a", &silence("maintenance")).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    let mismatch = send(&two, &key, "a", &silence("something else")).await;
    assert_eq!((mismatch.status, mismatch.problem()), (422, "idempotency-key-reused"));
    let silences = Silences::open(&servers.nats).await.unwrap();
    assert_eq!(silences.list().await.unwrap().len(), 1);
    // Keys of one client say nothing to another, and without one each request is a change.
    assert_eq!(send(&two, &other, "a", &silence("maintenance")).await.status, 201);
    let plain = one.request("POST", "/api/v1/silences").bearer_auth(&key);
    assert_eq!(answered(plain.json(&silence("maintenance"))).await.status, 201);
    assert_eq!(silences.list().await.unwrap().len(), 3);
    // Nothing in the bucket leads to the client's key.
    let kv = servers.nats.kv(Bucket::Idempotency).await.unwrap();
    for (name, entry) in kv.entries("").await.unwrap() {
        assert!(!name.contains(&key) && !String::from_utf8_lossy(&entry.value).contains(&key));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_the_same_time_one_is_carried_out() {
    let servers = Servers::start().await;
    let (one, two) = (servers.api(Config::default()).await, servers.api(Config::default()).await);
    let key = servers.key(&one, ApiRole::Analyst, None).await;
    servers.key(&two, ApiRole::Analyst, None).await;
    let body = silence("maintenance");
    let sent = (0..20).map(|number| {
        let api = if number % 2 == 0 { &one } else { &two };
        send(api, &key, "same", &body)
    });
    let answers = join_all(sent).await;
    let made = answers.iter().filter(|answer| answer.status == 201);
    let fresh = made.filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(fresh.count(), 1, "{answers:?}");
    for answer in &answers {
        let is_told = answer.status == 201
            || (answer.status == 409 && answer.problem() == "being-made")
            || answer.status == 429;
        assert!(is_told, "{answer:?}");
    }
    assert_eq!(Silences::open(&servers.nats).await.unwrap().list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_kept_and_an_unknown_outcome_is_told() {
    let servers = Servers::start().await;
    let api = servers.api(Config { request_timeout_ms: 1_000, ..Config::default() }).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let wrong = json!({ "matchers": [], "seconds": 600, "reason": "x" });
    let refused = send(&api, &key, "wrong", &wrong).await;
    assert_eq!(refused.problem(), "unprocessable");
    let again = send(&api, &key, "wrong", &wrong).await;
    assert_eq!((again.problem(), again.header("idempotent-replayed")), ("unprocessable", "true"));
    assert_eq!(again.body["instance"], refused.body["instance"], "the first answer");
    for key_header in ["", "a\tb"] {
        let bad = send(&api, &key, key_header, &wrong).await;
        assert_eq!((bad.status, bad.problem()), (400, "bad-parameter"), "{key_header:?}");
    }
    // As a process that died in the middle leaves it.
    let kv = servers.nats.kv(Bucket::Idempotency).await.unwrap();
    send(&api, &key, "died", &silence("maintenance")).await;
    let (name, entry) = newest(&kv).await;
    let mut value: Value = serde_json::from_slice(&entry).unwrap();
    value.as_object_mut().unwrap().remove("answer");
    kv.put(&name, serde_json::to_vec(&value).unwrap()).await.unwrap();
    let unknown = send(&api, &key, "died", &silence("maintenance")).await;
    assert_eq!((unknown.status, unknown.problem()), (409, "being-made"));
    value["at_us"] = (value["at_us"].as_i64().unwrap() - 10_000_000).into();
    kv.put(&name, serde_json::to_vec(&value).unwrap()).await.unwrap();
    let unknown = send(&api, &key, "died", &silence("maintenance")).await;
    assert!(unknown.body["detail"].as_str().unwrap().contains("not known"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_frees_its_key_unless_the_change_was_made() {
    let servers = Servers::start().await;
    let api = servers.api(Config { request_timeout_ms: 5_000, ..Config::default() }).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let kv = servers.nats.kv(Bucket::Idempotency).await.unwrap();
    // Without the audit a silence is made, and that is not told.
    servers.nats.jetstream().delete_stream("AUDIT").await.unwrap();
    let untold = send(&api, &key, "untold", &silence("maintenance")).await;
    assert_eq!((untold.status, untold.header("idempotent-replayed")), (503, ""), "{untold:?}");
    let again = send(&api, &key, "untold", &silence("maintenance")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (503, "true"), "{again:?}");
    let silences = Silences::open(&servers.nats).await.unwrap();
    assert_eq!(silences.list().await.unwrap().len(), 1, "made once");
    let kept = kv.entries("").await.unwrap().len();
    // Without the bucket of silences nothing is made.
    servers.nats.jetstream().delete_stream("KV_silences").await.unwrap();
    let failed = send(&api, &key, "failed", &silence("maintenance")).await;
    assert!(failed.status >= 500, "{failed:?}");
    assert_eq!(kv.entries("").await.unwrap().len(), kept, "its key may be used again");
}

async fn newest(kv: &crypto_intel_nats::Kv) -> (String, Vec<u8>) {
    let entries = kv.entries("").await.unwrap().into_iter();
    let (name, entry) = entries.max_by_key(|(_, entry)| entry.revision).unwrap();
    (name, entry.value.to_vec())
}
