//! What holds for every request.

use crypto_intel_api::Config;
use crypto_intel_schemas::ApiRole;
use crypto_intel_testkit::{connect_as, eventually};

use crate::harness::{Servers, answered};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_fails_is_a_problem_that_names_the_request() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    let unknown = api.get("/api/v1/nothing").await;
    assert_eq!((unknown.status, unknown.problem()), (404, "not-found"));
    assert_eq!(unknown.body["instance"], unknown.header("x-request-id"));
    let method = answered(api.request("DELETE", "/api/v1/chains")).await;
    assert_eq!((method.status, method.problem()), (405, "method-not-allowed"));
    assert!(method.header("allow").contains("GET"), "{method:?}");
    let parameter = api.get("/api/v1/chains?chan=base").await;
    assert_eq!((parameter.status, parameter.problem()), (400, "bad-parameter"));
    assert_eq!(parameter.body["errors"][0]["parameter"], "chan");
    let broken = api.get("/api/v1/%ff").await;
    assert_eq!(broken.problem(), "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_forbid_what_a_browser_should_not_do() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    for path in ["/api/v1/me", "/api/v1/nothing", "/docs/"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_under_another_name_is_refused() {
    let servers = Servers::start().await;
    let config = Config {
        anonymous_role: Some(ApiRole::Viewer),
        hosts: vec!["api.example.org".into()],
        ..Config::default()
    };
    let api = servers.api(config).await;
    let of =
        async |host: &str| answered(api.request("GET", "/api/v1/me").header("host", host)).await;
    for host in ["localhost:1", "127.0.0.1", "api.example.org:443"] {
        assert_eq!(of(host).await.status, 200, "{host}");
    }
    let foreign = of("evil.example").await;
    assert_eq!((foreign.status, foreign.problem()), (421, "unknown-host"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_told_and_kept() {
    let servers = Servers::start().await;
    let config = Config {
        anonymous_role: Some(ApiRole::Viewer),
        anonymous_cost_per_minute: 3,
        ..Config::default()
    };
    let api = servers.api(config).await;
    for left in [2, 1, 0] {
        let answer = api.get("/api/v1/me").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"address\";q=3;w=60");
        assert!(answer.header("ratelimit").starts_with(&format!("\"address\";r={left};t=")));
    }
    let refused = answered(api.request("GET", "/api/v1/me").header("x-forwarded-for", "9.9.9.9"));
    let refused = refused.await;
    assert_eq!((refused.status, refused.problem()), (429, "quota-exceeded"));
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(api.role.metric("crypto_intel_api_refused_total", &["quota"]), 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_its_progress_by_metrics_and_probes() {
    let servers = Servers::start().await;
    let api = servers.open_api().await;
    api.get("/api/v1/me").await;
    api.get("/api/v1/../../etc/passwd").await;
    eventually(async || api.role.is_ready()).await;
    let counted = |labels: &[&str]| api.role.metric("crypto_intel_api_requests_total", labels);
    assert_eq!(counted(&["GET", "/api/v1/me", "200"]), 1.0);
    assert_eq!(counted(&["GET", "none", "404"]), 1.0, "paths are no labels");
    assert!(api.role.metric("crypto_intel_api_request_seconds", &["/api/v1/me"]) >= 1.0);
    assert_eq!(api.role.metric("crypto_intel_api_requests_in_flight", &[]), 0.0);
    for probe in ["api.keys", "api.database", "api.port"] {
        assert!(api.role.is_healthy(probe), "{probe}");
    }
    api.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_it_says_so_and_serves_the_rest() {
    let servers = Servers::start().await;
    let config = Config { anonymous_role: Some(ApiRole::Admin), ..Config::default() };
    let nats = connect_as(&servers.broker, "api").await;
    let nowhere = "postgres://nobody:x@127.0.0.1:1/none";
    let api = servers.api_with(config, nats, nowhere).await;
    assert_eq!(api.get("/api/v1/me").await.status, 200);
    let chains = api.get("/api/v1/chains").await;
    assert_eq!((chains.status, chains.problem()), (503, "unavailable"));
    assert!(!chains.body.to_string().contains("nobody"), "{chains:?}");
    assert!(chains.header("retry-after").parse::<u64>().unwrap() > 0);
    let status = api.get("/api/status").await;
    assert_eq!(status.status, 200);
    assert!(status.body["problems"].to_string().contains("database"), "{status:?}");
    assert!(status.body["streams"].as_array().unwrap().iter().any(|one| one["name"] == "EVM"));
    eventually(async || api.role.detail("api.database").contains("connect")).await;
    assert!(!api.role.is_ready(), "and `/ready` says so");
}
