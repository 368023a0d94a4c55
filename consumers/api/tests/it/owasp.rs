//! The ten lines of the OWASP API security list (2023), each with what it promises here; `docs/api.md` has them as a table.

use std::time::Duration;

use crypto_intel_api::{Config, Keys, described_routes};
use crypto_intel_notify::{Matcher, NewSilence, Silences};
use crypto_intel_schemas::{ApiRole, Event};
use crypto_intel_testkit::eventually;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    harness::{Api, Servers, answered},
    seed::{blocks, wallet, write},
};

async fn socket(api: &Api) -> TcpStream {
    TcpStream::connect(api.url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// What the server sends until it closes.
async fn read_all(mut socket: TcpStream) -> String {
    let mut read = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut read)).await;
    // A reset is an end, too.
    let _ = ended.expect("the server does not close the connection");
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_1_what_is_of_other_chains_is_not_there_for_a_key_of_some() {
    let servers = Servers::start().await;
    let events: Vec<Event> = [blocks("base", 3), blocks("ethereum", 3)].concat();
    write(&servers.store, "EVM", &events, 1).await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Operator, Some(&["base"])).await;
    for (chain, found) in [("base", 1), ("ethereum", 0)] {
        let block = api.get_as(&key, &format!("/api/v1/blocks/{chain}/1")).await;
        assert_eq!(block.body["items"].as_array().unwrap().len(), found, "{chain}: {block:?}");
    }
    let listed = api.get_as(&key, "/api/v1/transactions").await.body["items"].clone();
    let chains: Vec<&Value> = listed.as_array().unwrap().iter().map(|one| &one["chain"]).collect();
    assert!(chains.len() == 6 && chains.iter().all(|chain| **chain == "base"), "{chains:?}");

    let silences = Silences::open(&servers.nats).await.unwrap();
    let silence = async |matcher: &str| {
        let matchers = vec![Matcher::parse(matcher).unwrap()];
        let new = NewSilence::lasting(matchers, Duration::from_secs(600), "other", "maintenance");
        silences.add(new).await.unwrap().id
    };
    let (other, own) = (silence("chain=ethereum").await, silence("chain=base").await);
    let everywhere = silence("rule=depeg").await;
    let seen = api.get_as(&key, "/api/v1/silences").await.body["items"].to_string();
    assert!(seen.contains(&own) && seen.contains(&everywhere) && !seen.contains(&other), "{seen}");
    let end = async |id: &str| {
        let request = api.request("DELETE", &format!("/api/v1/silences/{id}"));
        answered(request.bearer_auth(&key)).await.status
    };
    assert_eq!((end(&other).await, end(&everywhere).await, end(&own).await), (404, 404, 204));
    let make = async |matchers: &[&str]| {
        let body = json!({ "matchers": matchers, "seconds": 60, "reason": "test" });
        let request = api.request("POST", "/api/v1/silences");
        answered(request.bearer_auth(&key).json(&body)).await.status
    };
    assert_eq!(make(&["rule=depeg"]).await, 403, "alerts of other chains would be quiet, too");
    assert_eq!(make(&["chain in (base, ethereum)"]).await, 403);
    assert_eq!(make(&["rule=depeg", "chain=base"]).await, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_2_keys_are_hashed_kept_out_of_addresses_and_not_guessed() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let key = servers.key(&api, ApiRole::Viewer, None).await;
    let kept = servers.nats.kv(crypto_intel_nats::Bucket::ApiKeys).await.unwrap();
    for (_, entry) in kept.entries("").await.unwrap() {
        assert!(!String::from_utf8_lossy(&entry.value).contains(&key));
    }
    for path in ["/api/v1/me?key=", "/api/v1/stream?token="] {
        assert_ne!(api.get(&format!("{path}{key}")).await.status, 200, "{path}");
    }
    let guess = async || {
        let guess = crypto_intel_api::ApiKey::random();
        api.get_as(guess.reveal(), "/api/v1/me").await.status
    };
    for _ in 0..5 {
        assert_eq!(guess().await, 401);
    }
    assert_eq!(guess().await, 429, "five within 30 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_3_fields_that_are_not_for_clients_are_neither_taken_nor_given() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let address = format!("{:#x}", wallet(7));
    let place = format!("/api/v1/wallets/{address}");
    let send = async |method: &str, path: &str, body: Value| {
        answered(api.request(method, path).json(&body)).await.status
    };
    assert_eq!(send("POST", "/api/v1/wallets", json!({ "address": address })).await, 202);
    for field in ["added_at_us", "id", "role", "__proto__"] {
        let change = json!({ "label": "desk", field: 1 });
        assert_eq!(send("PATCH", &place, change).await, 422, "{field}");
    }
    // What a database row has and clients need not know.
    let mut description = crypto_intel_api::description().unwrap();
    // A new key is shown to the one who makes it, once.
    let schemas = description["components"]["schemas"].as_object_mut().unwrap();
    assert!(schemas.remove("MadeKey").is_some());
    let description = description.to_string();
    for secret in ["\"hash\":", "\"password\":", "\"api_key\":", "\"secret\":"] {
        let properties = format!("\"properties\":{{{secret}");
        assert!(!description.contains(&properties), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_4_bodies_headers_connections_and_requests_at_once_are_bounded() {
    let servers = Servers::start().await;
    let config = Config {
        anonymous_role: Some(ApiRole::Admin),
        header_timeout_ms: 500,
        max_requests_at_once: 1,
        ..Config::default()
    };
    let api = servers.api(config).await;
    let post = async |body: String, encoding: Option<&str>| {
        let request = api.request("POST", "/api/v1/wallets").body(body);
        let request = request.header("content-type", "application/json");
        let request = encoding
            .into_iter()
            .fold(request, |request, encoding| request.header("content-encoding", encoding));
        answered(request).await.status
    };
    assert_eq!(post(format!("\"{}\"", "0".repeat(64 << 10)), None).await, 413);
    let deep = |begin: &str| format!("{begin}{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in [deep(""), deep("{\"address\":"), deep("{\"tags\":"), deep("{\"other\":")] {
        // Each field has a type: what nests deeper than that is read no further.
        assert!([400, 422].contains(&post(body, None).await));
    }
    assert_eq!(post("{}".to_owned(), Some("gzip")).await, 415, "it could unfold to anything");

    let mut slow = socket(&api).await;
    slow.write_all(b"GET /api/v1/me HTTP/1.1\r\nhost: localhost\r\nx-a: ").await.unwrap();
    assert!(!read_all(slow).await.contains("200 OK"), "headers that do not end");
    let mut long = socket(&api).await;
    let head =
        format!("GET /api/v1/me HTTP/1.1\r\nhost: localhost\r\nx-a: {}", "a".repeat(1 << 20));
    let _ = long.write_all(head.as_bytes()).await;
    assert!(!read_all(long).await.contains("200 OK"));

    // A body that is still awaited is a request that is being answered.
    let mut waiting = socket(&api).await;
    let head = "POST /api/v1/wallets HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    waiting.write_all(head.as_bytes()).await.unwrap();
    eventually(async || api.get("/api/v1/me").await.status == 429).await;
    drop(waiting);
    eventually(async || api.get("/api/v1/me").await.status == 200).await;

    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(socket(&api).await);
    }
    let refused = || api.role.metric("crypto_intel_api_refused_total", &["sockets"]);
    eventually(async || refused() > 0.0).await;
    assert!(refused() < 200.0, "{} of 400 are many", refused());
    drop(held);
    eventually(async || api.client.get(format!("{}/api/v1/me", api.url)).send().await.is_ok())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_5_every_function_names_a_scope_and_asks_for_it() {
    let servers = Servers::start().await;
    let api = servers.api(Config::default()).await;
    let viewer = servers.key(&api, ApiRole::Viewer, None).await;
    // `every_route_asks_for_its_scope` tries all of them with every role.
    for (method, path, scope) in described_routes() {
        assert!(!scope.is_empty(), "{method} {path}");
    }
    let body = json!({ "address": format!("{:#x}", wallet(7)) });
    let request = || api.request("POST", "/api/v1/wallets").json(&body);
    assert_eq!(answered(request()).await.status, 401);
    assert_eq!(answered(request().bearer_auth(&viewer)).await.status, 403);
    assert_eq!(api.get_as(&viewer, "/api/v1/dead-letters").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_6_changes_have_a_budget_of_their_own() {
    let servers = Servers::start().await;
    let config = Config { changes_per_minute: 2, cost_per_minute: 100_000, ..Config::default() };
    let api = servers.api(config).await;
    let key = servers.key(&api, ApiRole::Analyst, None).await;
    let silence = async |key: &str| {
        let body = json!({ "matchers": ["rule=depeg"], "seconds": 60, "reason": "test" });
        let request = api.request("POST", "/api/v1/silences");
        answered(request.bearer_auth(key).json(&body)).await
    };
    assert_eq!((silence(&key).await.status, silence(&key).await.status), (201, 201));
    let refused = silence(&key).await;
    assert_eq!((refused.status, refused.problem()), (429, "quota-exceeded"));
    assert!((1..=30).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(api.get_as(&key, "/api/v1/silences").await.status, 200, "it may still look");
    let other = servers.key(&api, ApiRole::Analyst, None).await;
    assert_eq!(silence(&other).await.status, 201);
}

#[test]
fn line_7_no_request_makes_the_server_fetch_an_address() {
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("format").and_then(Value::as_str).map(ToOwned::to_owned));
                let properties = object.get("properties").and_then(Value::as_object);
                found.extend(properties.into_iter().flat_map(|all| all.keys().cloned()));
                object.values().for_each(|inner| names(inner, found));
            }
            Value::Array(list) => list.iter().for_each(|inner| names(inner, found)),
            _ => {}
        }
    }
    let description = crypto_intel_api::description().unwrap();
    let mut found = Vec::new();
    for item in description["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            found.extend(parameters.map(|one| one["name"].as_str().unwrap().to_owned()));
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = body["$ref"]
                .as_str()
                .and_then(|place| description.pointer(place.strip_prefix('#')?));
            names(schema.unwrap_or(body), &mut found);
        }
    }
    assert!(
        found.iter().any(|name| name == "matchers") && found.iter().any(|name| name == "chain")
    );
    for word in ["url", "uri", "webhook", "callback", "redirect", "hostname"] {
        assert!(!found.iter().any(|name| name.contains(word)), "{word} of {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_8_an_open_address_needs_its_settings_and_other_pages_read_nothing() {
    let open = Config { listen: "0.0.0.0:8420".parse().unwrap(), ..Config::default() };
    for (lacks, config) in [
        ("api.hosts", open.clone()),
        ("api.trusted_proxies", Config { hosts: vec!["api.example.org".into()], ..open.clone() }),
        (
            "api.anonymous_role",
            Config {
                hosts: vec!["localhost".into()],
                anonymous_role: Some(ApiRole::Analyst),
                ..open
            },
        ),
    ] {
        let problems = config.validate().unwrap_err();
        assert!(problems[0].starts_with(lacks), "{problems:?}");
    }
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    for method in ["OPTIONS", "GET"] {
        let request = api.request(method, "/api/v1/me").header("origin", "https://evil.example");
        let answer = answered(request.header("access-control-request-method", "POST")).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{method}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let rebound = api.request("GET", "/api/v1/me").header("host", "evil.example");
    assert_eq!(answered(rebound).await.problem(), "unknown-host");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_9_what_is_served_is_described_and_nothing_else_is_served() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let described = described_routes();
    for (method, path, _) in &described {
        let alias = path.strip_prefix("/api/v1/").map_or_else(|| path.clone(), |rest| rest.into());
        assert!(path.starts_with("/api/") || path == "/subscribe", "{method} {path}");
        assert!(!alias.contains("debug") && !alias.contains("internal"), "{method} {path}");
    }
    assert!(described.iter().any(|(_, path, _)| path == "/api/status"), "other names, too");
    for path in ["/metrics", "/ready", "/live", "/debug/pprof", "/api/v2/me", "/api/v1/admin"] {
        assert_eq!(api.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_10_text_of_others_stays_text() {
    let servers = Servers::start().await;
    let hostile = "</script><img src=x onerror=alert(1)>\u{0}\u{1b}[31m";
    let mut events = blocks("base", 1);
    for event in &mut events {
        if let Event::Erc20Transfer(transfer) = event {
            // A database holds no zero byte: what comes through is the rest.
            transfer.symbol = Some(hostile.replace('\0', ""));
        }
    }
    write(&servers.store, "EVM", &events, 0).await;
    let api = servers.open_api().await;
    let answer = api.request("GET", "/api/v1/transactions").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let text = answer.text().await.unwrap();
    assert!(text.contains("onerror") && !text.contains('\u{1b}'), "controls are escaped: {text}");
    let keys = Keys::open(&servers.nats).await.unwrap();
    assert!(keys.list().await.unwrap().is_empty());
    // What people write is cleaner: nothing turns or hides what stands beside it.
    for label in ["de\u{202e}sk", "de\u{200f}sk", "de\u{7}sk", "\u{2066}desk"] {
        let body = json!({ "address": format!("{:#x}", wallet(7)), "label": label });
        let request = api.request("POST", "/api/v1/wallets").json(&body);
        assert_eq!(answered(request).await.status, 422, "{label:?}");
        let body = json!({ "matchers": ["rule=depeg"], "seconds": 60, "reason": label });
        let request = api.request("POST", "/api/v1/silences").json(&body);
        assert_eq!(answered(request).await.status, 422, "{label:?}");
    }
}
