//! What operators see of polled providers: from what pollers keep, say and have said.

use crypto_intel_api::Config;
use crypto_intel_nats::{Bucket, OutMessage};
use crypto_intel_poll::pauses;
use crypto_intel_schemas::{
    ApiRole, AssetPrice, Decimal, Event, Kind, ProviderState, ProviderStatus, SourcePrice,
    SourceVerdict, polled_event_id, samples, subjects,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{eventually, messages};
use serde_json::{Value, json};

use crate::{
    harness::{Api, Servers, answered},
    seed::write,
};

const SECOND: i64 = 1_000_000;

/// What a poller keeps: `kraken` was asked an hour ago and not since; of a month of `dexpaprika` nine tenths are used.
async fn keep(servers: &Servers, now: i64) {
    let cursors = servers.nats.kv(Bucket::Cursors).await.unwrap();
    let slots = json!({ "next_us": now, "slots": ["on_time", "on_time", "late"] });
    let progress = json!({ "slot_us": now - 3_600 * SECOND, "ids": [], "slots": slots });
    cursors.put("poll.kraken.ticker", progress.to_string().into_bytes()).await.unwrap();
    let month =
        json!({ "begin_us": now - 60 * SECOND, "end_us": now + 86_400 * SECOND, "used": 45_000 });
    let usage = json!({ "month": month }).to_string().into_bytes();
    cursors.put("poll.quota.dexpaprika.no-key", usage).await.unwrap();
    let said = |source: &str, at_us: i64| SourcePrice {
        source: source.to_owned(),
        price: Decimal::parse("64000").unwrap(),
        quote: "usd".to_owned(),
        at_us,
        dollars: None,
        verdict: SourceVerdict::Used,
    };
    let price = AssetPrice {
        price: Decimal::parse("64000").unwrap(),
        at_us: now - 10 * SECOND,
        source: "coingecko".to_owned(),
        sources: vec![said("coingecko", now - 10 * SECOND), said("kraken", now - 3_600 * SECOND)],
        ..AssetPrice::default()
    };
    let prices = servers.nats.kv(Bucket::Prices).await.unwrap();
    prices.put(&AssetPrice::key("bitcoin"), serde_json::to_vec(&price).unwrap()).await.unwrap();
    let failing = status("kraken", Some("ticker"), ProviderState::Failing, now);
    let message = OutMessage::new(subjects::of(&failing), failing.encode());
    servers.nats.publish(message).await.unwrap();
}

fn status(provider: &str, endpoint: Option<&str>, state: ProviderState, at_us: i64) -> Event {
    let Event::ProviderStatus(sample) = samples::sample(Kind::ProviderStatus) else { panic!() };
    Event::from(ProviderStatus {
        id: polled_event_id("poll", Kind::ProviderStatus, provider, at_us),
        provider: provider.to_owned(),
        endpoint: endpoint.map(str::to_owned),
        state,
        detail: Some("status 503".to_owned()),
        event_at_us: at_us,
        observed_at_us: at_us,
        ..sample
    })
}

async fn items(api: &Api, path: &str) -> Vec<Value> {
    let answer = api.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_schedules_and_ages_are_those_of_the_pollers() {
    let servers = Servers::start().await;
    let now = now_us();
    keep(&servers, now).await;
    let api = servers.open_api().await;

    let near = items(&api, "/api/v1/rate-limits?near=true").await;
    let [near] = near.as_slice() else { panic!("{near:?}") };
    assert_eq!(
        (&near["provider"], &near["window"], &near["used"], &near["level"]),
        (&json!("dexpaprika"), &json!("month"), &json!(45_000), &json!("near"))
    );
    assert!(near["resets_at_us"].as_i64().unwrap() > now, "{near}");

    let late = items(&api, "/api/schedule?late=true").await;
    let [late] = late.as_slice() else { panic!("{late:?}") };
    assert_eq!((&late["provider"], &late["endpoint"]), (&json!("kraken"), &json!("ticker")));
    assert!((3_570..3_700).contains(&late["late_seconds"].as_i64().unwrap()), "{late}");
    assert_eq!(late["on_time_percent"], "66.66");

    let stale = items(&api, "/api/freshness?stale=true").await;
    let about =
        |one: &Value| (one["provider"].clone(), one["fact"].clone(), one["endpoint"].clone());
    let told: Vec<_> = stale.iter().map(about).collect();
    assert!(
        told.contains(&(json!("kraken"), json!("price of bitcoin/usd"), Value::Null)),
        "{told:?}"
    );
    assert!(told.contains(&(json!("kraken"), Value::Null, json!("ticker"))), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    let of_asset = items(&api, "/api/v1/freshness?asset=bitcoin").await;
    assert_eq!(of_asset.len(), 2, "{of_asset:?}");
    assert_eq!(of_asset[0]["stale"], true, "what is the farthest beyond its limit comes first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_provider_is_told_without_addresses_that_hold_secrets() {
    let servers = Servers::start().await;
    keep(&servers, now_us()).await;
    let api = servers.open_api().await;
    let found = api.get("/api/v1/providers/kraken").await;
    assert_eq!(found.status, 200, "{found:?}");
    assert_eq!(
        (&found.body["title"], &found.body["told"]["state"]),
        (&json!("Kraken"), &json!("failing"))
    );
    let ticker = found.body["endpoints"].as_array().unwrap();
    let ticker = ticker.iter().find(|one| one["name"] == "ticker").unwrap();
    assert_eq!((&ticker["state"], &ticker["every_seconds"]), (&json!("failing"), &json!(30)));
    assert!(ticker["limit_seconds"].as_i64() < ticker["age_seconds"].as_i64(), "{ticker}");
    assert!(!found.body.to_string().contains("api.kraken.com"), "{found:?}");
    assert_eq!(api.get("/api/v1/providers/nothing").await.problem(), "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_page_by_page_with_their_counts() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let now = now_us();
    let told =
        |provider, endpoint, state, ago: i64| status(provider, endpoint, state, now - ago * SECOND);
    let rows = [
        told("kraken", Some("ticker"), ProviderState::Failing, 10),
        told("kraken", None, ProviderState::Held, 20),
        told("kraken", Some("ticker"), ProviderState::Failing, 30),
        told("kraken", None, ProviderState::Ok, 40),
        told("okx", None, ProviderState::QuotaSpent, 20),
        told("okx", None, ProviderState::QuotaSpent, 9 * 86_400),
    ];
    write(&servers.store, "STATUS", &rows, 0).await;
    let first = api.get("/api/failures?limit=3").await;
    let seconds = |body: &Value| -> Vec<i64> {
        let items = body["items"].as_array().unwrap().iter();
        items.map(|one| (now - one["at_us"].as_i64().unwrap()) / SECOND).collect()
    };
    assert_eq!(seconds(&first.body), [10, 20, 20], "{first:?}");
    let count = |provider: &str, state: &str, told: i64| {
        let counts = first.body["counts"].as_array().unwrap().iter();
        let found: Vec<&Value> =
            counts.filter(|one| one["provider"] == provider && one["state"] == state).collect();
        assert_eq!((found.len(), &found[0]["told"]), (1, &json!(told)), "{provider} {state}");
    };
    count("kraken", "failing", 2);
    count("okx", "quota_spent", 1);
    let next = first.body["next"].as_str().unwrap();
    let second = api.get(&format!("/api/failures?limit=3&cursor={next}")).await;
    assert_eq!((seconds(&second.body), &second.body["next"]), (vec![30], &Value::Null));
    assert!(first.header("link").contains("rel=\"next\""), "{first:?}");
    let of_one = items(&api, "/api/v1/failures?provider=okx&since=-10d").await;
    assert_eq!(of_one.len(), 2);
    assert_eq!(items(&api, "/api/v1/failures?state=held").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_change_operations_pauses_and_resumes_and_is_audited() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let operator = servers.key(&api, ApiRole::Operator, None).await;
    let post = async |action: &str, body: Value| {
        let request = api.request("POST", &format!("/api/v1/providers/kraken/{action}"));
        answered(request.bearer_auth(&operator).json(&body)).await
    };
    let body = json!({ "endpoint": "ticker", "seconds": 7_200, "reason": "maintenance" });
    let made = post("pause", body).await;
    assert_eq!((made.status, &made.body["by"]), (200, &json!("test operator")), "{made:?}");
    let held = pauses(&servers.nats).await.unwrap();
    assert_eq!((held.len(), held[0].target()), (1, "kraken/ticker".to_owned()));
    let shown = eventually(async || {
        let shown = api.get_as(&operator, "/api/v1/providers/kraken").await;
        (shown.body["pauses"][0]["reason"] == "maintenance").then_some(shown)
    })
    .await;
    assert_eq!(shown.body["pauses"][0]["until_us"], made.body["until_us"]);
    for wrong in [
        json!({ "endpoint": "nothing", "seconds": 60, "reason": "x" }),
        json!({ "seconds": 691_200, "reason": "x" }),
        json!({ "seconds": 60, "reason": " " }),
    ] {
        assert_eq!(post("pause", wrong.clone()).await.problem(), "unprocessable", "{wrong}");
    }
    let ended = post("resume", json!({})).await;
    assert_eq!(ended.body["ended"].as_array().unwrap().len(), 1, "{ended:?}");
    assert_eq!(pauses(&servers.nats).await.unwrap(), []);
    let told = messages(&servers.nats, "AUDIT").await;
    let told: Vec<Event> = told.iter().map(|it| Event::decode(&it.payload).unwrap()).collect();
    let actions: Vec<(String, Option<String>)> = told
        .into_iter()
        .filter_map(|event| match event {
            Event::Audit(audit) => Some((audit.action, audit.target)),
            _ => None,
        })
        .collect();
    let change = |action: &str, target: &str| (action.to_owned(), Some(target.to_owned()));
    assert_eq!(
        actions,
        [change("provider.pause", "kraken/ticker"), change("provider.resume", "kraken")]
    );
    // Nothing polls here.
    assert_eq!(post("try", json!({ "endpoint": "nothing" })).await.problem(), "unprocessable");
}
