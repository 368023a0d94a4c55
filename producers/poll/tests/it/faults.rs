//! What providers do wrong, over real HTTP.

use std::time::Duration;

use crypto_intel_poll::{Config, FetchError, ProviderSettings, dry_run};
use crypto_intel_service::{Retryable, Secret};

use crate::stand_in::{Reply, StandIn};

const KEY: &str = "CG-very-secret-key";
const GOOD: &str = r#"{"bitcoin": {"usd": 64000.5}}"#;

async fn failure_at(base_url: String, key: &str) -> FetchError {
    let settings = ProviderSettings {
        base_url: Some(base_url.into()),
        key: Secret::new(key),
        parameters: [("assets".to_owned(), serde_json::json!(["bitcoin"]))].into(),
        ..ProviderSettings::default()
    };
    let providers = [("coingecko".to_owned(), settings)].into();
    let config = Config { providers, ..Config::default() };
    let mut runs = dry_run(&config, "coingecko", None).await.unwrap();
    runs.remove(0).outcome.expect_err("must fail")
}

async fn failure(reply: Reply) -> FetchError {
    let stand_in = StandIn::start([reply]).await;
    let error = failure_at(stand_in.url(), KEY).await;
    let shown = format!("{error:#} {error:?}");
    assert!(!shown.contains(KEY), "the key is in {shown}");
    error
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_as_long_as_the_provider_says() {
    let error = failure(Reply::status(429, "slow down").header("retry-after", "7")).await;
    assert_eq!(
        (error.outcome(), error.retry_after()),
        ("rate_limited", Some(Duration::from_secs(7)))
    );
    let error = failure(Reply::status(429, "")).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)), "without a hint");
    let error = failure(Reply::status(418, "{}")).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)), "banned");
}

#[tokio::test]
async fn a_rate_limit_inside_a_good_answer_is_one_as_well() {
    let body =
        r#"{"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit"}}"#;
    let error = failure(Reply::json(body)).await;
    assert_eq!(error.outcome(), "rate_limited", "{error}");
    assert!(error.to_string().contains("exceeded the Rate Limit"), "{error}");
}

#[tokio::test]
async fn an_error_inside_a_good_answer_is_not_taken_for_data() {
    let body = r#"{"status": {"error_code": 10005, "error_message": "not in your plan"}}"#;
    let error = failure(Reply::json(body)).await;
    assert!(
        matches!(&error, FetchError::Fault { message } if message.contains("10005")),
        "{error}"
    );
}

#[tokio::test]
async fn failures_of_the_provider_are_told_apart_from_refusals() {
    let error = failure(Reply::status(503, "maintenance").header("retry-after", "30")).await;
    assert!(matches!(error, FetchError::Server { status: 503, .. }), "{error}");
    assert_eq!((error.is_retryable(), error.retry_after()), (true, Some(Duration::from_secs(30))));
    let error = failure(Reply::status(451, "restricted location")).await;
    assert!(matches!(error, FetchError::Refused { status: 451, .. }), "{error}");
    assert!(!error.is_retryable());
    let error = failure(Reply::status(404, "no such path")).await;
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_before_it_is_all_read() {
    let big = format!("{{\"bitcoin\": {{\"usd\": 1}}, \"x\": \"{}\"}}", "x".repeat(400_000));
    for chunked in [false, true] {
        let error = failure(Reply { chunked, ..Reply::json(big.clone()) }).await;
        assert!(matches!(error, FetchError::TooLarge { limit: 262_144 }), "{error}");
    }
}

#[tokio::test]
async fn a_web_page_instead_of_json_is_named() {
    let page = "\n<!DOCTYPE html><html><title>Just a moment...</title></html>";
    let error = failure(Reply::json(page).header("content-type", "text/html")).await;
    assert_eq!(error.outcome(), "not_json");
    assert!(error.to_string().contains("web page") && error.to_string().contains("Just a moment"));
}

#[tokio::test]
async fn broken_json_is_named() {
    for body in ["", "{\"bitcoin\": {\"usd\"", "Too many requests", "{} {}"] {
        let error = failure(Reply::json(body)).await;
        assert_eq!(error.outcome(), "not_json", "{body:?}: {error}");
    }
}

#[tokio::test]
async fn an_answer_without_an_event_is_not_a_success() {
    let error = failure(Reply::json("{}")).await;
    assert_eq!(error.outcome(), "empty", "{error}");
    assert!(!error.is_retryable(), "the same question has the same answer");
}

#[tokio::test]
async fn an_answer_of_another_shape_says_what_came() {
    let error = failure(Reply::json(r#"{"bitcoin": 64000.5}"#)).await;
    assert_eq!(error.outcome(), "shape");
    assert!(error.to_string().contains("64000.5"), "{error}");
    let error = failure(Reply::json(r#"{"bitcoin": {"usd": "soon"}}"#)).await;
    assert!(error.to_string().contains("not a decimal number"), "{error}");
}

#[tokio::test]
async fn an_absent_provider_is_unreachable() {
    // Bound, so that no other program takes the port, but not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    let error = failure_at(format!("http://{address}"), KEY).await;
    assert!(matches!(&error, FetchError::Transport { .. }), "{error}");
    assert!(error.is_retryable() && !error.to_string().contains("http://"), "{error}");
}

#[tokio::test]
async fn a_slow_provider_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = include_str!("../../providers/coingecko.toml")
        .replace("timeout_ms = 10000", "timeout_ms = 200");
    std::fs::write(folder.path().join("coingecko.toml"), file).unwrap();
    let slow = Reply { delay: Duration::from_secs(30), ..Reply::json(GOOD) };
    let stand_in = StandIn::start([slow]).await;
    let settings =
        ProviderSettings { base_url: Some(stand_in.url().into()), ..ProviderSettings::default() };
    let config = Config {
        catalogue: Some(folder.path().to_owned()),
        providers: [("coingecko".to_owned(), settings)].into(),
        ..Config::default()
    };
    let runs = dry_run(&config, "coingecko", None).await.unwrap();
    assert!(matches!(runs[0].outcome, Err(FetchError::Timeout { timeout_ms: 200 })), "{runs:?}");
}

#[tokio::test]
async fn a_key_is_neither_shown_nor_sent_to_another_host() {
    let echo = format!("{{\"error\": \"bad key {KEY}\"}}");
    let error = failure(Reply::json(echo.clone())).await;
    assert!(error.to_string().contains("bad key ***"), "{error}");
    let error = failure(Reply::status(401, &echo)).await;
    assert!(error.to_string().contains("bad key ***"), "{error}");

    let elsewhere = StandIn::start([Reply::json(GOOD)]).await;
    let target = format!("{}/stolen", elsewhere.url());
    let redirecting = StandIn::start([Reply::status(302, "").header("location", &target)]).await;
    let error = failure_at(redirecting.url(), KEY).await;
    assert!(matches!(error, FetchError::Redirect { status: 302, .. }), "{error}");
    assert_eq!(redirecting.requests()[0].headers["x-cg-demo-api-key"], KEY);
    assert_eq!(elsewhere.requests().len(), 0, "the redirect to another host is not followed");
}
