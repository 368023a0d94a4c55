//! Keys of the API, made and revoked through it.

use crypto_intel_api::{Config, Keys};
use crypto_intel_nats::Bucket;
use crypto_intel_schemas::ApiRole;
use crypto_intel_testkit::eventually;
use serde_json::{Value, json};

use crate::{
    audit::told,
    harness::{Answer, Api, Servers, answered},
};

async fn add(api: &Api, bearer: &str, name: &str, body: &Value) -> Answer {
    let request = api.request("POST", "/api/v1/keys").bearer_auth(bearer).json(body);
    answered(request.header("idempotency-key", name)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_kept_nowhere_and_counts_until_it_is_revoked() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let admin = servers.key(&api, ApiRole::Admin, None).await;
    let new = json!({ "name": "grafana", "role": "viewer", "expires": "90d", "chains": ["base"] });
    let made = add(&api, &admin, "one", &new).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{made:?}");
    let (id, secret) = (made.body["id"].as_str().unwrap(), made.body["secret"].as_str().unwrap());
    assert_eq!(made.header("location"), format!("/api/v1/keys/{id}"));
    eventually(async || api.get_as(secret, "/api/v1/me").await.status == 200).await;
    let me = api.get_as(secret, "/api/v1/me").await.body;
    assert_eq!((&me["key"], &me["chains"]), (&json!(id), &json!(["base"])));

    // The repeated request tells which key it was, and not the key.
    let again = add(&api, &admin, "one", &new).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
    assert_eq!((&again.body["id"], &again.body["secret"]), (&json!(id), &Value::Null));
    let listed = api.get_as(&admin, "/api/v1/keys").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 2, "made once");
    assert_eq!(listed.body["items"][0]["state"], "counts");

    let place = format!("/api/v1/keys/{id}");
    let revoke = async || answered(api.request("DELETE", &place).bearer_auth(&admin)).await.status;
    assert_eq!(revoke().await, 204);
    eventually(async || api.get_as(secret, "/api/v1/me").await.status == 401).await;
    let listed = api.get_as(&admin, "/api/v1/keys").await;
    assert_eq!(listed.body["items"][0]["state"], "revoked");
    let told = told(&servers).await;
    let actions: Vec<(&str, Option<&str>)> =
        told.iter().map(|one| (one.action.as_str(), one.target.as_deref())).collect();
    assert_eq!(actions, [("key.add", Some(id)), ("key.revoke", Some(id))]);
    // Neither the audit nor any bucket has what was shown.
    let hidden = format!("{told:?}");
    assert!(hidden.contains("grafana") && !hidden.contains(secret) && !hidden.contains("hash"));
    for bucket in [Bucket::Idempotency, Bucket::ApiKeys] {
        let kv = servers.nats.kv(bucket).await.unwrap();
        for (name, entry) in kv.entries("").await.unwrap() {
            assert!(!String::from_utf8_lossy(&entry.value).contains(secret), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_some_chains_makes_sees_and_revokes_no_key_of_more() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let admin = servers.key(&api, ApiRole::Admin, None).await;
    let of_base = servers.key(&api, ApiRole::Admin, Some(&["base"])).await;
    let new = |chains: Value| json!({ "name": "x", "role": "viewer", "chains": chains });
    for (name, chains) in [("a", json!(null)), ("b", json!(["base", "ethereum"]))] {
        assert_eq!(add(&api, &of_base, name, &new(chains)).await.problem(), "forbidden");
    }
    assert_eq!(add(&api, &of_base, "c", &new(json!(["base"]))).await.status, 201);
    let seen = api.get_as(&of_base, "/api/v1/keys").await.body["items"].clone();
    assert_eq!(seen.as_array().unwrap().len(), 2, "{seen}");
    let id = api.get_as(&admin, "/api/v1/me").await.body["key"].as_str().unwrap().to_owned();
    let place = format!("/api/v1/keys/{id}");
    let revoked = answered(api.request("DELETE", &place).bearer_auth(&of_base)).await;
    assert_eq!(revoked.problem(), "not-found", "it is as one that is not there");
    for wrong in [
        json!({ "name": "", "role": "viewer" }),
        json!({ "name": "a\u{202e}b", "role": "viewer" }),
        json!({ "name": "x", "role": "root" }),
        json!({ "name": "x", "role": "viewer", "expires": "0d" }),
        json!({ "name": "x", "role": "viewer", "expires": "99999d" }),
        json!({ "name": "x", "role": "viewer", "chains": [] }),
        json!({ "name": "x", "role": "viewer", "chains": ["No Chain"] }),
        json!({ "name": "x", "role": "viewer", "hash": "00" }),
    ] {
        let refused = add(&api, &admin, &wrong.to_string(), &wrong).await;
        assert!(refused.status == 400 || refused.problem() == "unprocessable", "{wrong}");
    }
    assert_eq!(Keys::open(&servers.nats).await.unwrap().list().await.unwrap().len(), 3);
}
