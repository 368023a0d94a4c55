use crypto_intel_api::{Config, Keys, NewKey, Scope, described_routes};
use crypto_intel_schemas::ApiRole;
use crypto_intel_testkit::eventually;

use crate::harness::{Servers, answered};

/// A path in which every parameter has a value that can be read.
pub(crate) fn example(path: &str) -> String {
    path.replace("{chain}", "base")
        .replace("{address}", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045")
        .replace("{token}", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045")
        .replace("{pool}", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045")
        .replace("{hash}", &format!("0x{}", "ab".repeat(32)))
        .replace("{number}", "1")
        .replace("{sequence}", "1")
        .replace("{asset}", "bitcoin")
        .replace("{alert}", "9f2c41d07be83a65")
        .replace("{id}", "ABCDE")
        .replace("{name}", "large-token-transfer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_for_its_scope() {
    let servers = Servers::start().await;
    let api = servers.api(Config { cost_per_minute: 1_000_000, ..Config::default() }).await;
    let mut keys = Vec::new();
    for role in ApiRole::ALL {
        keys.push((role, servers.key(&api, role, None).await));
    }
    let routes = described_routes();
    assert!(routes.len() >= 4);
    for (method, path, scope) in routes {
        let path = example(&path);
        assert!(!path.contains('{'), "{path} has a parameter without an example");
        let scope = Scope::ALL.into_iter().find(|known| known.as_str() == scope);
        let scope = scope.unwrap_or_else(|| panic!("{method} {path} names no scope"));
        let stranger = answered(api.request(&method, &path)).await;
        assert_eq!((stranger.status, stranger.problem()), (401, "unauthenticated"), "{path}");
        assert_eq!(stranger.header("www-authenticate"), "Bearer");
        for (role, key) in &keys {
            let answer = answered(api.request(&method, &path).bearer_auth(key)).await;
            if scope.is_of(*role) {
                assert!(![401, 403].contains(&answer.status), "{role} {method} {path}: {answer:?}");
            } else {
                assert_eq!((answer.status, answer.problem()), (403, "forbidden"), "{role} {path}");
                let detail = answer.body["detail"].as_str().unwrap();
                assert!(detail.contains(scope.as_str()), "{detail}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_within_a_moment() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Viewer, Some(&["base"])).await;
    let me = api.get_as(&key, "/api/v1/me").await;
    assert_eq!(me.body["role"], "viewer");
    assert_eq!(me.body["chains"], serde_json::json!(["base"]));
    let id = me.body["key"].as_str().unwrap().to_owned();
    let keys = Keys::open(&servers.nats).await.unwrap();
    assert!(keys.revoke(&id).await.unwrap());
    assert!(!keys.revoke(&id).await.unwrap(), "once");
    eventually(async || api.get_as(&key, "/api/v1/me").await.status == 401).await;
    assert!(keys.revoke("nobody00").await.is_err());
    let listed = keys.list().await.unwrap();
    assert!(listed[0].1.revoked_at_us.is_some() && !listed[0].1.hash.is_empty());
    assert!(!format!("{listed:?}").contains(&key), "only its hash is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_and_invented_keys_do_not_count_and_guessing_is_slowed() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let keys = Keys::open(&servers.nats).await.unwrap();
    let lifetime = Some(std::time::Duration::from_micros(1));
    let new = NewKey { name: "old".into(), role: ApiRole::Admin, chains: None, lifetime };
    let (expired, _) = keys.add(new).await.unwrap();
    let valid = servers.key(&api, ApiRole::Viewer, None).await;
    assert_eq!(api.get_as(expired.reveal(), "/api/v1/me").await.status, 401);
    let invented = crypto_intel_api::ApiKey::random();
    let mut last = 0;
    for _ in 0..10 {
        last = api.get_as(invented.reveal(), "/api/v1/me").await.status;
    }
    assert_eq!(last, 429, "keys are not tried one after the other");
    let refused = api.get_as(&valid, "/api/v1/me").await;
    assert_eq!(refused.problem(), "quota-exceeded");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 30);
}
