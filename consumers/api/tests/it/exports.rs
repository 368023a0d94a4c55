//! Lists as files, and a transaction with everything that is stored of it.

use std::collections::BTreeSet;

use crypto_intel_schemas::{
    Alert, ApiRole, Article, B256, Event, Kind, Severity, U256, log_event_id, samples,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::assert_same_set;
use serde_json::{Value, json};

use crate::{
    harness::{Api, Servers, answered},
    seed::{blocks, wallet, write},
};

async fn text(api: &Api, path: &str, accept: &str) -> (reqwest::header::HeaderMap, String) {
    let response = api.request("GET", path).header("accept", accept).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    (response.headers().clone(), response.text().await.unwrap())
}

/// Ids of a file's lines, and its last line.
fn lines(text: &str) -> (Vec<String>, Value) {
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    let id = |line: &Value| {
        line.pointer("/alert/id").unwrap_or(&line["id"]).as_str().unwrap().to_owned()
    };
    (lines.iter().map(id).collect(), last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_what_the_pages_have_and_says_when_it_is_cut() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let mut events = blocks("base", 700);
    if let Event::Erc20Transfer(token) = &mut events[0] {
        token.symbol = Some("=cmd|'/C calc'!A0,\"\n".into());
    }
    write(&servers.store, "EVM", &events, 10).await;
    let expected: BTreeSet<String> = events.iter().map(|event| event.id().to_owned()).collect();

    let list = "/api/v1/transactions?chain=base";
    let (headers, file) = text(&api, &format!("{list}&format=ndjson"), "*/*").await;
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert_eq!(headers["cache-control"], "no-store");
    let name = headers["content-disposition"].to_str().unwrap();
    assert!(
        name.starts_with("attachment; filename=\"transfers-2") && name.ends_with(".ndjson\""),
        "{name}"
    );
    let (ids, last) = lines(&file);
    assert_same_set(expected.clone(), ids.clone());
    assert_eq!(last, json!({ "end": true, "items": 1400, "complete": true, "next": null }));
    let page = api.get(&format!("{list}&limit=3")).await;
    let first: Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    assert_eq!(page.body["items"][0], first, "an item is the same everywhere");

    // Cut, and gone on with; also as pages, of which the cursor is.
    let (_, part) = text(&api, &format!("{list}&limit=1000"), "application/x-ndjson").await;
    let (mut ids, last) = lines(&part);
    assert_eq!((&last["complete"], ids.len()), (&json!(false), 1000));
    let (_, few) = text(&api, &format!("{list}&limit=3"), "application/x-ndjson").await;
    assert_eq!(lines(&few).0, ids[..3], "as many as were asked for");
    let on = format!("{list}&cursor={}", last["next"].as_str().unwrap());
    ids.extend(lines(&text(&api, &on, "application/x-ndjson").await.1).0);
    assert_same_set(expected.clone(), ids);
    assert_eq!(
        api.get(&format!("{on}&limit=1000")).await.body["items"].as_array().unwrap().len(),
        400
    );

    let (headers, csv) = text(&api, list, "text/csv").await;
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(csv.starts_with("row,kind,chain,"));
    assert!(csv.contains(",\"'=cmd|'/C calc'!A0,\"\"\n\","), "a symbol is no formula");
    assert!(
        csv.ends_with("\r\n")
            && csv.trim_end().rsplit("\r\n").next().unwrap().starts_with("end,1400,")
    );
    let ids: Vec<String> = csv
        .split("\r\n")
        .filter(|line| !line.starts_with("row,") && !line.starts_with("end,") && !line.is_empty())
        .map(|line| line.trim_end_matches(',').rsplit(',').next().unwrap().to_owned())
        .collect();
    assert_same_set(expected, ids);
    let wallet = format!("/api/v1/wallets/{:#x}/transfers?direction=out&format=ndjson", wallet(1));
    assert_eq!(lines(&text(&api, &wallet, "*/*").await.1).0.len(), 700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_watched_addresses_balances_and_articles_are_files_too() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    write(&servers.store, "EVM", &blocks("base", 1_200), 10).await;
    let Event::Article(sample) = samples::sample(Kind::Article) else { panic!() };
    let article = Article { event_at_us: now_us(), title: "=HYPERLINK(1)".into(), ..sample };
    write(&servers.store, "SIGNALS", &[Event::from(article)], 0).await;
    let (_, file) = text(&api, "/api/v1/blocks?chain=base&format=ndjson", "*/*").await;
    let mut heights: Vec<u64> = file
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["block_number"].as_u64())
        .collect();
    assert_eq!(heights.len(), 1_200, "over several pages");
    heights.dedup();
    assert!(heights.len() == 1_200 && heights.is_sorted_by(|one, two| one > two));
    let (_, part) = text(&api, "/api/v1/blocks?chain=base&limit=10&format=ndjson", "*/*").await;
    let last: Value = serde_json::from_str(part.lines().last().unwrap()).unwrap();
    let below = last["next"].as_str().unwrap();
    let rest = api.get(&format!("/api/v1/blocks?chain=base&limit=1&below={below}")).await;
    assert_eq!(rest.body["items"][0]["block_number"], json!(heights[10]));

    let (_, articles) = text(&api, "/api/v1/market/articles?format=csv", "*/*").await;
    assert!(articles.contains("'=HYPERLINK(1)"), "{articles}");
    for path in ["/api/v1/wallets", &format!("/api/v1/wallets/{:#x}/balances", wallet(1))] {
        let page = api.get(path).await.body["items"].as_array().unwrap().len();
        let (headers, csv) = text(&api, path, "text/csv").await;
        assert!(headers["content-disposition"].to_str().unwrap().ends_with(".csv\""), "{path}");
        assert!(csv.contains(&format!("end,{page},")), "{csv}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_have_a_scope_and_a_price_of_their_own() {
    let servers = Servers::start().await;
    let config = crypto_intel_api::Config { cost_per_minute: 120, ..Default::default() };
    let api = servers.api(config).await;
    let Event::Alert(sample) = samples::sample(Kind::Alert) else { panic!() };
    let alerts: Vec<Event> = (0..5)
        .map(|number| {
            Event::from(Alert {
                id: format!("{number}:1"),
                alert: format!("alert-{number}"),
                n: 1,
                severity: Severity::Warning,
                observed_at_us: now_us() - i64::from(number) * 1_000_000,
                ..sample.clone()
            })
        })
        .collect();
    write(&servers.store, "ALERT", &alerts, 0).await;
    let viewer = servers.key(&api, ApiRole::Viewer, None).await;
    let path = "/api/v1/alerts?format=ndjson";
    assert_eq!(api.get_as(&viewer, path).await.problem(), "forbidden");
    assert_eq!(api.get_as(&viewer, "/api/v1/alerts?format=json").await.status, 200);
    let analyst = servers.key(&api, ApiRole::Analyst, None).await;
    let file = api.request("GET", path).bearer_auth(&analyst).send().await.unwrap();
    let (ids, last) = lines(&file.text().await.unwrap());
    assert_eq!((ids.len(), &last["complete"]), (5, &json!(true)));
    let mut refused = Value::Null;
    for _ in 0..3 {
        let again = answered(api.request("GET", path).bearer_auth(&analyst)).await;
        if again.status == 429 {
            refused = again.body;
        }
    }
    assert!(refused["detail"].as_str().unwrap().contains("costs"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_told_whole() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let transfers = blocks("base", 3);
    let Event::Erc20Transfer(transfer) = &transfers[4] else { panic!() };
    let of_it = |mut event: Event, log_index: u32| {
        let kind = event.kind();
        let mut json = event.to_json();
        for (name, value) in [
            ("chain", json!("base")),
            ("chain_id", json!(7)),
            ("block_number", json!(transfer.block_number)),
            ("block_hash", json!(format!("{:#x}", transfer.block_hash))),
            ("block_time_us", json!(transfer.block_time_us)),
            ("event_at_us", json!(transfer.block_time_us)),
            ("observed_at_us", json!(transfer.observed_at_us)),
            ("tx_hash", json!(format!("{:#x}", transfer.tx_hash))),
            ("tx_index", json!(transfer.tx_index)),
            ("log_index", json!(log_index)),
            ("incarnation", json!(0)),
            ("id", json!(log_event_id("base", &transfer.block_hash, kind, log_index, None))),
        ] {
            json[name] = value;
        }
        json.as_object_mut().unwrap().remove("sub_index");
        event = Event::from_json(&json).unwrap();
        event
    };
    let swap = of_it(samples::sample(Kind::Swap), 1);
    let approval = of_it(samples::sample(Kind::Approval), 5);
    let all = [transfers.clone(), vec![swap, approval]].concat();
    write(&servers.store, "EVM", &all, 1).await;

    let path = format!("/api/v1/transactions/base/{:#x}", transfer.tx_hash);
    let kinds = |answer: &Value| -> Vec<String> {
        let events = answer["events"].as_array().unwrap().iter();
        events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    };
    let whole = api.get(&path).await;
    assert_eq!(whole.status, 200, "{whole:?}");
    assert_eq!(
        kinds(&whole.body),
        ["swap", "transfer.erc20", "approval"],
        "in the order of the block"
    );
    assert_eq!(whole.body["finality"], "latest");
    let hinted = api.get(&format!("{path}?block={}", transfer.block_number)).await;
    assert_eq!(hinted.body, whole.body);
    let wrong = api.get(&format!("{path}?block=1")).await;
    assert_eq!(wrong.problem(), "not-found");
    let other = format!("/api/v1/transactions/base/{:#x}?block=1", B256::from(U256::from(77)));
    assert_eq!(api.get(&other).await.problem(), "not-found");
}
