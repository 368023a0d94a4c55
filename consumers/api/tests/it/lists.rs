//! What is stored, as clients see it.

use crypto_intel_schemas::{Alert, ApiRole, Event, Kind, Severity, samples};
use crypto_intel_service::now_us;
use crypto_intel_testkit::assert_same_set;
use serde_json::{Value, json};

use crate::{
    harness::{Api, Servers, answered},
    seed::{blocks, wallet, write},
};

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// All ids of a list, page by page, as its header says where the next one is.
async fn walk(api: &Api, path: &str) -> Vec<String> {
    let mut all = Vec::new();
    let (place, _) = path.split_once('?').unwrap();
    let mut path = path.to_owned();
    loop {
        let page = api.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        all.extend(ids(&page.body));
        let links = page.header("link").split(", ");
        let next = links.filter_map(|link| link.strip_suffix(">; rel=\"next\"")?.strip_prefix('<'));
        let next: Vec<&str> = next.collect();
        let [query] = next[..] else {
            assert_eq!(page.body["next"], Value::Null);
            return all;
        };
        assert!(query.ends_with(page.body["next"].as_str().unwrap()));
        path = format!("{place}{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_are_events_page_by_page() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let events: Vec<Event> = [blocks("base", 20), blocks("ethereum", 20)].concat();
    write(&servers.store, "EVM", &events, 10).await;
    let expected: Vec<String> = events.iter().map(|event| event.id().to_owned()).collect();
    let whole = walk(&api, "/api/v1/transactions?limit=1000").await;
    assert_same_set(expected, whole.clone());
    assert_eq!(walk(&api, "/api/v1/transactions?limit=7").await, whole);

    let page = api.get("/api/v1/transactions?chain=base&kind=erc20&limit=1").await;
    let newest = events.iter().rfind(|event| {
        event.kind() == Kind::Erc20Transfer && event.block_fields().unwrap().chain == "base"
    });
    let mut expected = newest.unwrap().to_json();
    expected["finality"] = "latest".into();
    assert_eq!(page.body["items"], json!([expected]), "the shape of the wire");
    assert_eq!(page.body["as_of"], json!({ "EVM": 80 }));
    let oldest = walk(&api, "/api/v1/transactions?chain=base&limit=3").await.pop().unwrap();
    assert!(oldest.contains(":transfer."), "{oldest}");

    for (filter, count) in [
        ("min_usd=15000", 10),
        ("min_usd=0.5", 38),
        ("verified=true&kind=erc20", 40),
        ("watched=true", 0),
        ("address=0x0101010101010101010101010101010101010101&direction=out", 40),
        ("address=0x0101010101010101010101010101010101010101", 80),
        ("token=0x0909090909090909090909090909090909090909", 40),
        ("since=-1h&until=-30m", 0),
    ] {
        let found = walk(&api, &format!("/api/v1/transactions?limit=9&{filter}")).await;
        assert_eq!(found.len(), count, "{filter}");
    }
    let wallet = format!("/api/v1/wallets/{:#x}/transfers?limit=9&direction=in", wallet(2));
    assert_eq!(walk(&api, &wallet).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_is_of_its_list_and_leads_to_what_is_newer() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let events = blocks("base", 6);
    write(&servers.store, "EVM", &events[..8], 0).await;
    let first = api.get("/api/v1/transactions?limit=3").await;
    let (next, prev) = (&first.body["next"], &first.body["prev"]);
    let cursor = next.as_str().unwrap();
    let other = api.get(&format!("/api/v1/transactions?chain=base&cursor={cursor}")).await;
    assert_eq!((other.status, other.problem()), (400, "cursor-mismatch"));
    let wrong = api.get("/api/v1/transactions?cursor=AAAA").await;
    assert_eq!((wrong.status, wrong.problem()), (400, "bad-parameter"));

    let newer = format!("/api/v1/transactions?limit=3&cursor={}", prev.as_str().unwrap());
    let nothing = api.get(&newer).await;
    assert!(ids(&nothing.body).is_empty(), "{nothing:?}");
    write(&servers.store, "EVM", &events[8..], 0).await;
    let mut seen = Vec::new();
    let mut cursor = nothing.body["prev"].as_str().unwrap().to_owned();
    loop {
        let page = api.get(&format!("/api/v1/transactions?limit=3&cursor={cursor}")).await;
        if ids(&page.body).is_empty() {
            break;
        }
        seen.splice(0..0, ids(&page.body));
        cursor = page.body["prev"].as_str().unwrap().to_owned();
    }
    let expected = events[8..].iter().map(|event| event.id().to_owned());
    assert_same_set(expected, seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_has_is_not_sent_again() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let events = blocks("base", 4);
    write(&servers.store, "EVM", &events[..4], 0).await;
    let path = "/api/v1/transactions?limit=5";
    let first = api.get(path).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && tag.contains("EVM.4."), "{tag}");
    assert_eq!(first.header("cache-control"), "private, max-age=0, must-revalidate");
    let again = answered(api.request("GET", path).header("if-none-match", &tag)).await;
    assert_eq!((again.status, again.header("etag")), (304, tag.as_str()));
    assert_eq!(again.header("ratelimit"), "", "and costs nothing");
    write(&servers.store, "EVM", &events[4..], 0).await;
    crypto_intel_testkit::eventually(async || {
        answered(api.request("GET", path).header("if-none-match", &tag)).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_one_chain_sees_nothing_of_another() {
    let servers = Servers::start().await;
    let api = servers.api(crypto_intel_api::Config::default()).await;
    let events: Vec<Event> = [blocks("base", 3), blocks("ethereum", 3)].concat();
    write(&servers.store, "EVM", &events, 0).await;
    let key = servers.key(&api, ApiRole::Admin, Some(&["base"])).await;
    let hash = |chain: &str| {
        let of_chain = |event: &&Event| event.block_fields().unwrap().chain == chain;
        let event = events.iter().find(of_chain).unwrap();
        format!("{:#x}", event.transaction_fields().unwrap().tx_hash)
    };
    for path in [
        "/api/v1/transactions".to_owned(),
        "/api/v1/transactions?chain=ethereum&chain=base".to_owned(),
        format!("/api/v1/wallets/{:#x}/transfers", wallet(1)),
        format!("/api/v1/wallets/{:#x}/flow", wallet(1)),
        "/api/v1/chains".to_owned(),
        format!("/api/v1/transactions/base/{}", hash("base")),
    ] {
        let answer = api.get_as(&key, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        let text = answer.body.to_string();
        assert!(text.contains("base") && !text.contains("ethereum"), "{path}: {text}");
    }
    let other = format!("/api/v1/transactions/ethereum/{}", hash("ethereum"));
    assert_eq!(api.get_as(&key, &other).await.problem(), "not-found");
    let only = api.get_as(&key, "/api/v1/transactions?chain=ethereum").await;
    assert_eq!(only.body["items"], json!([]));
    let sums = format!("/api/v1/wallets/{:#x}/counterparties", wallet(1));
    assert_eq!(api.get_as(&key, &sums).await.problem(), "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_and_wallets_say_what_is_stored_of_them() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let events: Vec<Event> = [blocks("base", 12), blocks("ethereum", 5)].concat();
    write(&servers.store, "EVM", &events, 7).await;
    let chains = api.get("/api/v1/chains").await;
    let [base, ethereum] = chains.body["items"].as_array().unwrap().as_slice() else {
        panic!("{chains:?}")
    };
    assert_eq!((&base["chain"], &base["block_number"]), (&json!("base"), &json!(11)));
    assert_eq!((&base["finalized_number"], &base["block_seconds"]), (&json!(7), &json!(1.0)));
    assert_eq!(ethereum["block_number"], 4);
    assert!(base["age_seconds"].as_i64().unwrap() < 60);
    let transactions = api.get("/api/v1/transactions?chain=base&limit=1000").await;
    let of = |number: u64| {
        let items = transactions.body["items"].as_array().unwrap().iter();
        items
            .filter(|item| item["block_number"] == number)
            .map(|item| item["finality"].clone())
            .next()
    };
    assert_eq!((of(7), of(8)), (Some(json!("final")), Some(json!("latest"))));

    let place = format!("/api/v1/wallets/{:#x}", wallet(1));
    let flow = api.get(&format!("{place}/flow")).await;
    let lines = flow.body["items"].as_array().unwrap();
    let token = lines.iter().find(|line| line["chain"] == "base" && line["token"].is_string());
    let token = token.unwrap();
    assert_eq!((&token["transfers_out"], &token["amount_out"]), (&json!(12), &json!("66")));
    let counterparties = api.get(&format!("{place}/counterparties?since=-1h")).await;
    let [one] = counterparties.body["items"].as_array().unwrap().as_slice() else {
        panic!("{counterparties:?}")
    };
    assert_eq!(one["address"], format!("{:#x}", wallet(2)));
    assert_eq!((&one["transfers_in"], &one["transfers_out"]), (&json!(17), &json!(17)));
    let known = api.get(&place).await;
    assert_eq!((&known.body["watched"], &known.body["entries"]), (&json!(false), &json!([])));
    assert_eq!(api.get(&format!("{place}/balances")).await.body["items"], json!([]));
    assert_eq!(api.get("/api/v1/wallets?label=x&tag=y&kind=wallet").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_come_with_who_was_told() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let Event::Alert(sample) = samples::sample(Kind::Alert) else { panic!() };
    let alert = |number: u32, severity, n: u32, state| {
        Event::from(Alert {
            id: format!("{number}:{n}"),
            alert: format!("alert-{number}"),
            n,
            severity,
            state,
            observed_at_us: now_us() - i64::from(100 - number - n) * 1_000_000,
            // They are for those who are told; tables do not keep them.
            chart: None,
            addresses: Vec::new(),
            ..sample.clone()
        })
    };
    use crypto_intel_schemas::AlertState::{Fired, Resolved};
    let mut alerts: Vec<Event> =
        (0..5).map(|one| alert(one, Severity::Warning, 1, Fired)).collect();
    alerts.push(alert(5, Severity::Critical, 1, Fired));
    alerts.push(alert(2, Severity::Warning, 2, Resolved));
    write(&servers.store, "ALERT", &alerts, 0).await;
    let Event::Delivery(told) = samples::sample(Kind::Delivery) else { panic!() };
    let told = crypto_intel_schemas::Delivery { alert: "alert-2".into(), ..told };
    write(&servers.store, "NOTIFY", &[Event::from(told.clone())], 0).await;

    let keys = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| item["alert"]["alert"].as_str().unwrap().to_owned()).collect()
    };
    let all = api.get("/api/v1/alerts").await;
    assert_eq!(all.status, 200, "{all:?}");
    let expected = ["alert-5", "alert-4", "alert-2", "alert-3", "alert-1", "alert-0"];
    let mut found = keys(&all.body);
    found.sort();
    let mut sorted = expected.map(ToOwned::to_owned).to_vec();
    sorted.sort();
    assert_eq!(found, sorted, "each alert once, by its newest message");
    let mut paged = Vec::new();
    let mut next = String::new();
    loop {
        let page = api.get(&format!("/api/v1/alerts?limit=2{next}")).await;
        paged.extend(keys(&page.body));
        let Some(cursor) = page.body["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(paged, keys(&all.body));
    let critical = api.get("/api/v1/alerts?severity=critical&severity=info").await;
    assert_eq!(keys(&critical.body), ["alert-5"]);
    let resolved = api.get("/api/v1/alerts?state=resolved&rule=large-erc20-transfer").await;
    assert_eq!(keys(&resolved.body), ["alert-2"]);
    assert_eq!(resolved.body["items"][0]["deliveries"][0]["destination"], told.destination);

    let one = api.get("/api/v1/alerts/alert-2").await;
    let states: Vec<&Value> =
        one.body["messages"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!(states, [&json!("fired"), &json!("resolved")]);
    assert_eq!(one.body["messages"][0], alerts[2].to_json(), "the shape of the wire");
    let by_code = api.get(&format!("/api/v1/alerts/{}", sample.code.to_lowercase())).await;
    assert_eq!(by_code.status, 200);
    assert_eq!(api.get("/api/v1/alerts/nothing").await.problem(), "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markets_blocks_and_sources_are_told_as_they_are_stored() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let minute = 60_000_000;
    let now = now_us();
    let Event::Price(sample) = samples::sample(Kind::Price) else { panic!() };
    let price = |ago: i64, price: &str| {
        Event::from(crypto_intel_schemas::Price {
            id: format!("p{ago}"),
            event_at_us: now - ago * minute,
            asset: "bitcoin".into(),
            quote: "usd".into(),
            price: crypto_intel_schemas::Decimal::parse(price).unwrap(),
            ..sample.clone()
        })
    };
    write(&servers.store, "MARKET", &[price(50, "100"), price(30, "130"), price(1, "110")], 0)
        .await;
    let movers = api.get("/api/v1/market/movers?span=1h").await;
    let one = &movers.body["items"][0];
    assert_eq!((&one["asset"], &one["change_percent"]), (&json!("bitcoin"), &json!("10.00")));
    let candles = api.get("/api/v1/market/assets/bitcoin/candles?step=1m&since=-2h").await;
    let closes: Vec<&str> = candles.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["close"].as_str().unwrap())
        .collect();
    assert_eq!(closes, ["100", "130", "110"]);
    assert_eq!(
        api.get("/api/v1/market/assets/bitcoin/candles?quote=eur").await.body["items"],
        json!([])
    );
    let summary = api.get("/api/v1/market/summary").await;
    assert_eq!((summary.status, &summary.body["prices"]), (200, &json!([])), "{summary:?}");
    assert_eq!(api.get("/api/v1/market/indices").await.body["items"], json!([]));

    write(&servers.store, "EVM", &blocks("base", 5), 2).await;
    let page = api.get("/api/v1/blocks?chain=base&limit=2&below=4").await;
    let numbers: Vec<&Value> =
        page.body["items"].as_array().unwrap().iter().map(|it| &it["block_number"]).collect();
    assert_eq!(numbers, [&json!(3), &json!(2)]);
    assert_eq!(page.body["items"][1]["finality"], "final");
    assert_eq!(api.get("/api/v1/blocks").await.problem(), "bad-parameter");
    assert_eq!(api.get("/api/v1/blocks/base/4").await.body["items"][0]["canonical"], true);

    let Event::ProviderStatus(status) = samples::sample(Kind::ProviderStatus) else { panic!() };
    let newest = crypto_intel_schemas::ProviderStatus {
        event_at_us: now,
        id: "s2".into(),
        ..status.clone()
    };
    let older = crypto_intel_schemas::ProviderStatus {
        event_at_us: now - minute,
        id: "s1".into(),
        ..status
    };
    write(&servers.store, "STATUS", &[Event::from(newest), Event::from(older)], 0).await;
    let providers = api.get("/api/v1/providers").await;
    let [one] = providers.body["items"].as_array().unwrap().as_slice() else {
        panic!("{providers:?}")
    };
    assert_eq!(one["at_us"], now);
    for path in
        ["/api/v1/nodes", "/api/v1/reorgs", "/api/v1/dead-letters", "/api/v1/alerts/summary"]
    {
        let answer = api.get(path).await;
        assert_eq!((answer.status, &answer.body["items"]), (200, &json!([])), "{path} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn articles_are_read_page_by_page_by_source_and_asset() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let Event::Article(sample) = samples::sample(Kind::Article) else { panic!() };
    let now = now_us();
    // Links longer than a cursor may be, and several articles of one moment.
    let articles: Vec<Event> = (0..9_i64)
        .map(|number| {
            let (source, asset) = [("one", "bitcoin"), ("two", "solana")][number as usize % 2];
            let link = format!("https://news.example/{number}/{}", "a".repeat(600));
            let at = now - number / 4 * 1_000_000;
            Event::from(crypto_intel_schemas::Article {
                id: crypto_intel_schemas::polled_event_id(source, Kind::Article, &link, at),
                source: source.into(),
                event_at_us: at,
                observed_at_us: now,
                link,
                assets: vec![asset.into()],
                ..sample.clone()
            })
        })
        .collect();
    write(&servers.store, "SIGNALS", &articles, 0).await;
    let expected: Vec<String> = articles.iter().map(|event| event.id().to_owned()).collect();
    let whole = walk(&api, "/api/v1/market/articles?limit=100").await;
    assert_same_set(expected, whole.clone());
    assert_eq!(walk(&api, "/api/v1/market/articles?limit=2").await, whole);
    for (filter, count) in [
        ("source=one", 5),
        ("source=one&source=two", 9),
        ("asset=solana", 4),
        ("since=-1h&until=-30m", 0),
    ] {
        let found = walk(&api, &format!("/api/v1/market/articles?limit=2&{filter}")).await;
        assert_eq!(found.len(), count, "{filter}");
    }
    let page = api.get("/api/v1/market/articles?limit=1").await;
    let first = articles.iter().find(|event| event.id() == whole[0]).unwrap();
    assert_eq!(page.body["items"], json!([first.to_json()]), "the shape of the wire");
    let newer =
        format!("/api/v1/market/articles?limit=1&cursor={}", page.body["prev"].as_str().unwrap());
    assert_eq!(api.get(&newer).await.body["items"], json!([]));
}
