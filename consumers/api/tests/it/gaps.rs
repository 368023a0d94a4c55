//! What is complete, and what is queued to become so.

use crypto_intel_api::Config;
use crypto_intel_evm::{Gap, GapReason, Gaps, Watchlist, write_verified};
use crypto_intel_schemas::{ApiRole, B256, Event, Jump, Kind, Verified, samples};
use crypto_intel_service::now_us;
use serde_json::{Value, json};

use crate::{
    audit::told,
    harness::{Answer, Api, Servers, answered},
    seed::{blocks, wallet, write},
};

async fn backfill(api: &Api, key: &str, body: Value) -> Answer {
    answered(api.request("POST", "/api/v1/backfill").bearer_auth(key).json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_queued_as_by_its_command_and_its_progress_is_told() {
    let servers = Servers::start().await;
    let events = [blocks("base", 12), blocks("ethereum", 5)].concat();
    write(&servers.store, "EVM", &events, 7).await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Operator, Some(&["base"])).await;
    let queued = backfill(&api, &key, json!({ "chain": "base", "from": 2, "to": 100 })).await;
    assert_eq!((queued.status, &queued.body["to"]), (202, &json!(7)), "{queued:?}");
    assert_eq!(queued.body["blocks"], 6);
    assert!(queued.body["note"].as_str().unwrap().contains("last final one"), "{queued:?}");
    let gaps = Gaps::open(&servers.nats, "base").await.unwrap();
    let [gap] = gaps.list().await.unwrap().try_into().unwrap();
    assert_eq!((gap.from, gap.to, gap.reason), (2, 7, GapReason::Backfill));
    for (body, problem) in [
        (json!({ "chain": "base", "from": 8, "to": 9 }), "unprocessable"),
        (json!({ "chain": "base", "from": 5, "to": 4 }), "unprocessable"),
        (json!({ "chain": "base", "from": -1, "to": 4 }), "unprocessable"),
        (json!({ "chain": "ethereum", "from": 1, "to": 2 }), "forbidden"),
    ] {
        assert_eq!(backfill(&api, &key, body.clone()).await.problem(), problem, "{body}");
    }
    let take_back = async |path: &str| {
        let path = format!("/api/v1/backfill/{path}");
        answered(api.request("DELETE", &path).bearer_auth(&key)).await.status
    };
    gaps.queue(9, 10, GapReason::CatchUp).await.unwrap();
    let refused = [take_back("base/3").await, take_back("base/9").await];
    assert_eq!(refused, [404, 404], "nothing begins there, and what live left stays");
    assert_eq!(take_back("base/2").await, 204);
    let [left] = gaps.list().await.unwrap().try_into().unwrap();
    assert_eq!(left.reason, GapReason::CatchUp);
    let told = told(&servers).await;
    let told: Vec<_> = told.iter().map(|one| (&*one.action, one.target.as_deref())).collect();
    assert_eq!(told, [("backfill.queue", Some("base")), ("backfill.take_back", Some("base"))]);

    let jumped = Gap { next: 5, ..Gap::new(1, 10, GapReason::CatchUp) };
    let ethereum = Gaps::open(&servers.nats, "ethereum").await.unwrap();
    ethereum.queue_gap(jumped).await.unwrap();
    let own = api.get_as(&key, "/api/v1/gaps").await.body;
    assert_eq!(own["items"].as_array().unwrap().len(), 1, "of its chains only: {own}");
    let all = servers.key(&api, ApiRole::Operator, None).await;
    let all = api.get_as(&all, "/api/v1/gaps?limit=1&chain=ethereum&chain=base").await.body;
    assert_eq!(
        (&all["items"][0]["chain"], &all["items"][0]["state"]),
        (&json!("base"), &json!("queued"))
    );
    assert!(all["warnings"][0].as_str().unwrap().contains("1 more"), "{all}");
    let key = servers.key(&api, ApiRole::Operator, Some(&["ethereum"])).await;
    let begun = api.get_as(&key, "/api/v1/gaps").await.body["items"][0].clone();
    let shown =
        ["state", "reason", "blocks", "published", "remaining", "next"].map(|it| &begun[it]);
    let expected = [json!("begun"), json!("catch_up"), json!(10), json!(4), json!(6), json!(5)];
    assert_eq!(shown, expected.each_ref(), "{begun}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jumps_and_verified_blocks_are_told_of_the_chains_of_a_key() {
    let servers = Servers::start().await;
    let Event::Jump(sample) = samples::sample(Kind::Jump) else { panic!() };
    let jump = |chain: &str| {
        let block_time_us = now_us() - 1_000_000;
        let id = format!("jump {chain}");
        Event::from(Jump { id, chain: chain.into(), block_time_us, ..sample.clone() })
    };
    let events = [blocks("base", 12), blocks("ethereum", 5), vec![jump("base"), jump("ethereum")]];
    write(&servers.store, "EVM", &events.concat(), 7).await;
    let hash = B256::repeat_byte(7);
    let against = "database".to_owned();
    let verified = Verified { from: 1, number: 4, hash, against, at_us: now_us(), scope: None };
    write_verified(&servers.nats, "base", &verified).await.unwrap();
    let api = servers.api(Config::default()).await;
    let viewer = servers.key(&api, ApiRole::Viewer, None).await;
    let all = api.get_as(&viewer, "/api/v1/verified").await.body;
    let [base, ethereum] = all["items"].as_array().unwrap().as_slice() else { panic!("{all}") };
    assert_eq!((&base["number"], &base["unverified_blocks"]), (&json!(4), &json!(3)));
    assert_eq!((&ethereum["number"], &ethereum["finalized_number"]), (&json!(null), &json!(7)));
    let own = servers.key(&api, ApiRole::Viewer, Some(&["base"])).await;
    for path in ["/api/v1/verified", "/api/v1/jumps", "/api/v1/jumps?chain=base&chain=ethereum"] {
        let found = api.get_as(&own, path).await.body;
        let [one] = found["items"].as_array().unwrap().as_slice() else { panic!("{found}") };
        assert_eq!(one["chain"], "base");
    }
    let told = api.get_as(&own, "/api/v1/jumps").await.body["items"][0].clone();
    assert_eq!(
        (&told["from_number"], &told["to_number"]),
        (&json!(sample.from_number), &json!(sample.to_number))
    );
    assert_eq!(api.get_as(&own, "/api/v1/jumps?until=-1h").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_wallet_may_bring_its_past_of_every_stored_chain() {
    let servers = Servers::start().await;
    write(&servers.store, "EVM", &[blocks("base", 12), blocks("ethereum", 9)].concat(), 7).await;
    let api = servers.api(Config::default()).await;
    let address = format!("{:#x}", wallet(7));
    let add = async |key: &str, more: Value| {
        let mut body = json!({ "address": address });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answered(api.request("POST", "/api/v1/wallets").bearer_auth(key).json(&body)).await
    };
    let analyst = servers.key(&api, ApiRole::Analyst, None).await;
    let operator = servers.key(&api, ApiRole::Operator, None).await;
    assert_eq!(add(&analyst, json!({ "backfill": 0 })).await.problem(), "forbidden");
    for wrong in [json!({ "backfill": 8 }), json!({ "backfill": 0, "chain": "optimism" })] {
        assert_eq!(add(&operator, wrong.clone()).await.problem(), "unprocessable", "{wrong}");
    }
    let list = Watchlist::open(&servers.nats).await.unwrap();
    assert!(list.list().await.unwrap().is_empty(), "what was refused changed nothing");
    let added = add(&operator, json!({ "backfill": 3, "every_block": true })).await;
    assert_eq!((added.status, &added.body["new"]), (202, &json!(true)), "{added:?}");
    assert_eq!(added.body["past"][1]["blocks"], 5);
    for chain in ["base", "ethereum"] {
        let gaps = Gaps::open(&servers.nats, chain).await.unwrap();
        let gap = gaps.get(3, Some(&address)).await.unwrap().unwrap();
        assert_eq!((gap.to, gap.reason, gap.every_block), (7, GapReason::Watch, true), "{chain}");
    }
    let told = told(&servers).await;
    assert!(told[0].after.as_deref().unwrap().contains("\"past\""), "{told:?}");
}
