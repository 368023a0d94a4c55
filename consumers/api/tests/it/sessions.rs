//! Sessions: a cookie for the dashboard's own page, which ends with its key.

use crypto_intel_api::{Config, Keys, login_code};
use crypto_intel_nats::Bucket;
use crypto_intel_schemas::ApiRole;
use crypto_intel_testkit::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Api, Servers, answered},
    seed::wallet,
};

/// The cookie that an answer sets, as a browser sends it back.
fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn begin(api: &Api, key: &str) -> Answer {
    answered(api.request("POST", "/api/v1/session").bearer_auth(key)).await
}

async fn with_cookie(api: &Api, cookie: &str, path: &str) -> Answer {
    answered(api.request("GET", path).header("cookie", cookie)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_stands_for_its_key_in_every_process_until_it_is_ended() {
    let servers = Servers::start().await;
    let (one, two) = (servers.api(Config::default()).await, servers.api(Config::default()).await);
    let key = servers.key(&one, ApiRole::Analyst, Some(&["base"])).await;
    let begun = begin(&one, &key).await;
    assert_eq!((begun.status, &begun.body["role"]), (201, &json!("analyst")), "{begun:?}");
    let set = begun.header("set-cookie");
    for part in ["ci=", "; Path=/", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert_eq!(begun.header("cache-control"), "no-store");
    let cookie = cookie_of(&begun);
    let me = with_cookie(&one, &format!("other=1; {cookie}"), "/api/v1/me").await;
    assert_eq!((me.status, &me.body["chains"]), (200, &json!(["base"])), "{me:?}");
    eventually(async || with_cookie(&two, &cookie, "/api/v1/me").await.status == 200).await;
    let who = with_cookie(&two, &cookie, "/api/v1/session").await;
    let hours = (who.body["ends_us"].as_i64().unwrap() - who.body["began_us"].as_i64().unwrap())
        / 3_600_000_000;
    assert_eq!((&who.body["name"], hours), (&json!("test analyst"), 12));
    assert_eq!(one.get_as(&key, "/api/v1/session").await.status, 404, "a key is no session");
    // Nothing in the bucket is the cookie.
    let id = cookie.split_once('=').unwrap().1;
    let kv = servers.nats.kv(Bucket::Sessions).await.unwrap();
    for (name, entry) in kv.entries("").await.unwrap() {
        assert!(!name.contains(id) && !String::from_utf8_lossy(&entry.value).contains(id));
    }
    let end = one.request("DELETE", "/api/v1/session").header("cookie", &cookie);
    let ended = answered(end.header("origin", &one.url)).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    assert!(ended.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(with_cookie(&one, &cookie, "/api/v1/me").await.status, 401);
    eventually(async || with_cookie(&two, &cookie, "/api/v1/me").await.status == 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_changes_things_for_the_own_page_alone() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let cookie = cookie_of(&begin(&api, &key).await);
    let change = async |headers: &[(&str, &str)]| {
        let body = json!({ "address": format!("{:#x}", wallet(7)) });
        let request = api.request("POST", "/api/v1/wallets").header("cookie", &cookie).json(&body);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        answered(request).await.status
    };
    let own = api.url.as_str();
    for foreign in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
    ] {
        assert_eq!(change(foreign).await, 403, "{foreign:?}");
    }
    assert_eq!(change(&[("origin", own)]).await, 202);
    assert_eq!(change(&[("origin", own), ("sec-fetch-site", "same-origin")]).await, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_ends_its_sessions_and_an_invented_one_is_none() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Viewer, None).await;
    let cookie = cookie_of(&begin(&api, &key).await);
    assert_eq!(with_cookie(&api, &cookie, "/api/v1/me").await.status, 200);
    let keys = Keys::open(&servers.nats).await.unwrap();
    keys.revoke(key.split('_').nth(1).unwrap()).await.unwrap();
    eventually(async || with_cookie(&api, &cookie, "/api/v1/me").await.status == 401).await;
    for invented in ["ci=", "ci=x", "__Host-ci=session.x", &format!("ci={}", "a".repeat(43))] {
        assert_eq!(with_cookie(&api, invented, "/api/v1/me").await.status, 401, "{invented}");
    }
    // A stale cookie is no guess: the page may still log in.
    for _ in 0..10 {
        with_cookie(&api, &cookie, "/api/v1/me").await;
    }
    let other = servers.key(&api, ApiRole::Viewer, None).await;
    assert_eq!(begin(&api, &other).await.status, 201);
    assert_eq!(answered(api.request("POST", "/api/v1/session")).await.problem(), "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_begins_one_session_once() {
    let servers = Servers::start().await;
    let (one, two) = (servers.api(Config::default()).await, servers.api(Config::default()).await);
    servers.key(&one, ApiRole::Operator, None).await;
    servers.key(&two, ApiRole::Viewer, None).await;
    let redeem = async |api: &Api, body: Value| {
        answered(api.request("POST", "/api/v1/session").json(&body)).await
    };
    let login = login_code(&servers.nats, "test operator").await.unwrap();
    assert_eq!(login.entry.role, ApiRole::Operator);
    let code = login.code;
    let (first, second) =
        tokio::join!(redeem(&one, json!({ "code": code })), redeem(&two, json!({ "code": code })));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 401], "{first:?} {second:?}");
    let (api, begun) = if first.status == 201 { (&one, first) } else { (&two, second) };
    let me = with_cookie(api, &cookie_of(&begun), "/api/v1/me").await;
    assert_eq!(me.body["role"], "operator");
    for wrong in [json!({ "code": "cl_x" }), json!({ "code": code })] {
        assert_eq!(redeem(&one, wrong).await.problem(), "unauthenticated");
    }
    assert_eq!(redeem(&one, json!({ "code": 1 })).await.status, 422);
    assert_eq!(redeem(&one, json!({ "key": "x" })).await.status, 422);
    assert!(login_code(&servers.nats, "nobody").await.is_err());
    // As one that was made six minutes ago.
    let code = login_code(&servers.nats, "test operator").await.unwrap().code;
    let kv = servers.nats.kv(Bucket::Sessions).await.unwrap();
    let (name, entry) = kv.entries("code.").await.unwrap().pop().unwrap();
    let mut value: Value = serde_json::from_slice(&entry.value).unwrap();
    value["made_us"] = (value["made_us"].as_i64().unwrap() - 360_000_000).into();
    kv.put(&name, serde_json::to_vec(&value).unwrap()).await.unwrap();
    assert_eq!(redeem(&one, json!({ "code": code })).await.status, 401);
    assert_eq!(redeem(&one, json!({ "code": code })).await.status, 401);
}
