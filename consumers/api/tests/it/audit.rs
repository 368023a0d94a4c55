//! Who changed what is told, by the stream and, from the table, by the API.

use crypto_intel_api::Config;
use crypto_intel_nats::{ReaderOptions, Start, StreamReader};
use crypto_intel_schemas::{ApiRole, Audit, Event, Kind, samples};
use crypto_intel_service::now_us;
use crypto_intel_testkit::eventually;
use serde_json::{Value, json};

use crate::{
    harness::{Servers, answered},
    seed::{wallet, write},
};

/// What the stream holds, but refusals: keys are tried before they are known everywhere.
pub(crate) async fn told(servers: &Servers) -> Vec<Audit> {
    let mut told = told_of_all(servers).await;
    told.retain(|audit| audit.action != "access.refuse");
    told
}

/// What the stream holds.
async fn told_of_all(servers: &Servers) -> Vec<Audit> {
    let options = ReaderOptions::new("AUDIT", "test", Start::First);
    let mut reader = StreamReader::open(&servers.nats, options).await.unwrap();
    let mut told = Vec::new();
    while let Some(batch) = reader.next_until_end(100).await.unwrap() {
        told.extend(batch.messages.iter().map(|message| {
            match Event::decode(&message.payload).unwrap() {
                Event::Audit(audit) => audit,
                other => panic!("{other:?}"),
            }
        }));
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_told_before_it_is_answered() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let address = format!("{:#x}", wallet(7));
    let place = format!("/api/v1/wallets/{address}");
    let send = async |method: &str, path: &str, body: Value| {
        answered(api.request(method, path).bearer_auth(&key).json(&body)).await
    };
    let added =
        send("POST", "/api/v1/wallets", json!({ "address": address, "label": "desk" })).await;
    assert_eq!(added.status, 202);
    assert_eq!(send("PATCH", &place, json!({ "label": "cold desk" })).await.status, 202);
    assert_eq!(send("PATCH", &place, json!({ "label": "" })).await.status, 422);
    assert_eq!(answered(api.request("DELETE", &place).bearer_auth(&key)).await.status, 204);
    assert_eq!(answered(api.request("DELETE", &place).bearer_auth(&key)).await.status, 404);
    let told = told(&servers).await;
    let actions: Vec<&str> = told.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(
        actions,
        ["watch.add", "watch.change", "watch.remove"],
        "what failed changed nothing"
    );
    for one in &told {
        assert_eq!((one.actor.as_str(), one.via.as_str()), ("test analyst", "api"));
        assert_eq!(one.target.as_deref(), Some(format!("all/{address}").as_str()));
        assert_eq!(one.origin, "127.0.0.1");
        assert!(key.contains(one.key.as_deref().unwrap()));
        assert!(!format!("{one:?}").contains(&key), "never a secret");
    }
    assert_eq!(told[0].request.as_deref(), Some(added.header("x-request-id")));
    assert!(told[0].before.is_none() && told[0].after.as_deref().unwrap().contains("desk"));
    assert!(told[1].before.as_deref().unwrap().contains("\"desk\""), "{:?}", told[1]);
    assert!(told[1].after.as_deref().unwrap().contains("cold desk"));
    assert!(told[2].after.is_none() && told[2].before.as_deref().unwrap().contains("cold desk"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_listed_for_those_who_decide_who_may_use_it() {
    let servers = Servers::start().await;
    let Event::Audit(sample) = samples::sample(Kind::Audit) else { panic!() };
    let now = now_us();
    let entries: Vec<Event> = (0..7)
        .map(|number| {
            let at_us = now - i64::from(number) * 1_000;
            let actor = if number % 2 == 0 { "desk" } else { "ops" };
            let id = format!("audit:{number}");
            let base = Audit { event_at_us: at_us, observed_at_us: at_us, ..sample.clone() };
            Event::from(Audit { id, actor: actor.into(), ..base })
        })
        .collect();
    write(&servers.store, "AUDIT", &entries, 0).await;
    let api = servers.api(Config::default()).await;
    let admin = servers.key(&api, ApiRole::Admin, None).await;
    let mut path = "/api/v1/audit?limit=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = api.get_as(&admin, &path).await;
        assert_eq!(page.status, 200, "{page:?}");
        seen.extend(page.body["items"].as_array().unwrap().clone());
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/api/v1/audit?limit=3&cursor={next}");
    }
    let expected: Vec<Value> = entries.iter().map(Event::to_json).collect();
    assert_eq!(seen, expected, "as on the wire, newest first, each once");
    let own = api.get_as(&admin, "/api/v1/audit?actor=ops&action=silence.add").await;
    assert_eq!(own.body["items"].as_array().unwrap().len(), 3);
    let none = api.get_as(&admin, "/api/v1/audit?target=nothing").await;
    assert_eq!(none.body["items"], json!([]));
    let operator = servers.key(&api, ApiRole::Operator, None).await;
    assert_eq!(api.get_as(&operator, "/api/v1/audit").await.status, 403);
    let of_base = servers.key(&api, ApiRole::Admin, Some(&["base"])).await;
    assert_eq!(api.get_as(&of_base, "/api/v1/audit").await.status, 403, "it is of all chains");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_refusals_are_told_too_and_refusals_once_a_minute() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let file = "/api/v1/wallets?format=csv&tag=hot";
    assert_eq!(api.request("GET", file).bearer_auth(&key).send().await.unwrap().status(), 200);
    for _ in 0..3 {
        assert_eq!(api.get_as(&key, "/api/v1/audit").await.status, 403);
        assert_eq!(api.get("/api/v1/me").await.status, 401);
    }
    let address = "127.0.0.1";
    let told = eventually(async || {
        let mut told = told_of_all(&servers).await;
        told.retain(|one| one.origin == address);
        (told.len() >= 3).then_some(told)
    })
    .await;
    let told: Vec<(&str, &str, &str)> = told
        .iter()
        .map(|one| {
            let after = one.after.as_deref().unwrap();
            (one.action.as_str(), one.target.as_deref().unwrap(), after)
        })
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.contains(&("export.begin", "/api/v1/wallets", "\"format=csv&tag=hot\"")),
        "{told:?}"
    );
    assert!(told.contains(&("access.refuse", "GET /api/v1/audit", "{\"status\":403}")), "{told:?}");
}
