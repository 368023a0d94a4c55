//! What clients may change: the same as the commands, for others to see at once.

use crypto_intel_api::Config;
use crypto_intel_evm::Watchlist;
use crypto_intel_notify::Silences;
use crypto_intel_schemas::{Alert, ApiRole, Event, Kind, samples};
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use crate::{
    harness::{Answer, Api, Servers, answered},
    seed::{wallet, write},
};

async fn send(api: &Api, method: &str, path: &str, body: Value) -> Answer {
    answered(api.request(method, path).json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_list_is_changed_as_by_its_command() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let list = Watchlist::open(&servers.nats).await.unwrap();
    let address = format!("{:#x}", wallet(7));
    let place = format!("/api/v1/wallets/{address}");
    let new = json!({ "address": address, "label": "desk", "tags": ["hot"], "group": "one" });
    let added = send(&api, "POST", "/api/v1/wallets", new.clone()).await;
    assert_eq!((added.status, &added.body["new"]), (202, &json!(true)), "{added:?}");
    assert_eq!(added.header("location"), place);
    assert_eq!(send(&api, "POST", "/api/v1/wallets", new).await.body["new"], false);

    let change = json!({ "label": "cold desk", "group": null });
    assert_eq!(send(&api, "PATCH", &place, change).await.status, 202);
    let [one] = list.list().await.unwrap().try_into().unwrap();
    assert_eq!(one.entry.label.as_deref(), Some("cold desk"));
    assert_eq!((one.entry.group, one.entry.tags), (None, vec!["hot".to_owned()]), "the rest stays");

    let other = send(&api, "PATCH", &format!("{place}?chain=base"), json!({})).await;
    assert_eq!(other.problem(), "not-found");
    assert_eq!(answered(api.request("DELETE", &place)).await.status, 204);
    assert_eq!(answered(api.request("DELETE", &place)).await.problem(), "not-found");
    assert!(list.list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_say_nothing_sensible_change_nothing() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let address = format!("{:#x}", wallet(7));
    for (body, problem) in [
        (json!({ "address": "0x12" }), "unprocessable"),
        (json!({ "address": address, "chain": "No Chain" }), "unprocessable"),
        (json!({ "address": address, "kind": "cat" }), "unprocessable"),
        (json!({ "address": address, "label": "" }), "unprocessable"),
        (json!({ "address": address, "owner_id": 1 }), "unprocessable"),
        (json!({}), "unprocessable"),
        (json!([]), "unprocessable"),
    ] {
        let refused = send(&api, "POST", "/api/v1/wallets", body.clone()).await;
        assert_eq!(refused.problem(), problem, "{body}");
    }
    let post = || api.request("POST", "/api/v1/wallets");
    let text = answered(post().body("{}")).await;
    assert_eq!((text.status, text.problem()), (415, "unsupported-media-type"));
    let json = "application/json; charset=utf-8";
    let broken = answered(post().header("content-type", json).body("{")).await;
    assert_eq!((broken.status, broken.problem()), (400, "malformed-body"));
    let large = format!("{{\"address\": \"{}\"}}", "0".repeat(100_000));
    let large = answered(post().header("content-type", json).body(large)).await;
    assert_eq!((large.status, large.problem()), (413, "too-large"));
    let silence = json!({ "matchers": ["everything"], "seconds": 60, "reason": "x" });
    assert_eq!(send(&api, "POST", "/api/v1/silences", silence).await.problem(), "unprocessable");
    assert!(Watchlist::open(&servers.nats).await.unwrap().list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_one_chain_watches_on_this_one_only() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Analyst, Some(&["base"])).await;
    let add = async |chain: Option<&str>| {
        let body = json!({ "address": format!("{:#x}", wallet(7)), "chain": chain });
        answered(api.request("POST", "/api/v1/wallets").bearer_auth(&key).json(&body)).await
    };
    assert_eq!(add(Some("base")).await.status, 202);
    assert_eq!(add(Some("ethereum")).await.problem(), "forbidden");
    assert_eq!(add(None).await.problem(), "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silences_and_acknowledgements_are_those_of_the_commands() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let new =
        json!({ "matchers": ["rule=depeg", "chain!=base"], "seconds": 3600, "reason": "repair" });
    let made = answered(api.request("POST", "/api/v1/silences").bearer_auth(&key).json(&new)).await;
    assert_eq!((made.status, &made.body["author"]), (201, &json!("test analyst")), "{made:?}");
    let silences = Silences::open(&servers.nats).await.unwrap();
    assert!(silences.list().await.unwrap()[0].is_active(now_us()));
    let listed = api.get_as(&key, "/api/v1/silences").await;
    assert_eq!(listed.body["items"][0]["id"], made.body["id"]);
    let place = made.header("location").to_owned();
    let ended = answered(api.request("DELETE", &place).bearer_auth(&key)).await;
    assert_eq!(ended.status, 204);
    assert_eq!(api.get_as(&key, "/api/v1/silences").await.body["items"], json!([]));
    let past = api.get_as(&key, "/api/v1/silences?all=true").await;
    assert_eq!(past.body["items"][0]["ended_by"], "test analyst");

    let Event::Alert(sample) = samples::sample(Kind::Alert) else { panic!() };
    let alert = Alert { observed_at_us: now_us(), ..sample };
    write(&servers.store, "ALERT", &[Event::from(alert.clone())], 0).await;
    let take = async || {
        let path = format!("/api/v1/alerts/{}/acknowledge", alert.code);
        answered(api.request("POST", &path).bearer_auth(&key)).await
    };
    let taken = take().await;
    assert_eq!((taken.status, &taken.body["new"]), (200, &json!(true)), "{taken:?}");
    assert_eq!(taken.body["alert"], alert.alert);
    assert_eq!(take().await.body["new"], false, "the first one stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_hosts_change_nothing() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let post = |headers: &[(&str, &str)]| {
        let request = api.request("POST", "/api/v1/wallets");
        let body = json!({ "address": format!("{:#x}", wallet(7)) });
        headers
            .iter()
            .fold(request.json(&body), |request, (name, value)| request.header(*name, *value))
    };
    for foreign in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:1")],
    ] {
        assert_eq!(answered(post(foreign)).await.problem(), "forbidden", "{foreign:?}");
    }
    let list = Watchlist::open(&servers.nats).await.unwrap();
    assert!(list.list().await.unwrap().is_empty());
    let own = [("origin", api.url.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(answered(post(&own)).await.status, 202);
}
