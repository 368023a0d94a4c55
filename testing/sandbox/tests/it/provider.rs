use std::time::Duration;

use crypto_intel_sandbox::provider::{
    PROVIDER_NAME, ProviderAnswer, ProviderFault, ProviderOptions, ProviderServer,
};
use reqwest::{Client, Response};
use serde_json::Value;

struct Poller {
    server: ProviderServer,
    client: Client,
}

impl Poller {
    async fn start(generate: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = ProviderServer::start(ProviderOptions { generate }).await.unwrap();
        Self { server, client: Client::builder().no_proxy().tls_certs_only([]).build().unwrap() }
    }

    async fn get(&self, path: &str) -> reqwest::Result<Response> {
        self.client.get(format!("{}{path}", self.server.url())).send().await
    }

    async fn json(&self, path: &str) -> Value {
        self.get(path).await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn given_answers_go_to_the_requests_they_fit() {
    let poller = Poller::start(false).await;
    poller.server.set_answer("/a", &[], ProviderAnswer::json("1"));
    poller.server.set_answer("/a", &[("id", "x y")], ProviderAnswer::json("2"));
    assert_eq!(poller.json("/a").await, 1);
    assert_eq!(poller.json("/a?id=x%20y&more=1").await, 2);
    assert_eq!(poller.get("/b").await.unwrap().status(), 404);
    assert_eq!(poller.server.calls("/a"), 2);
    assert_eq!(poller.server.requests()[1].query["id"], "x y");
}

#[tokio::test]
async fn generated_answers_have_the_providers_form_and_name_the_stand_in() {
    let poller = Poller::start(true).await;
    let path =
        "/api/v3/simple/price?ids=bitcoin,nonsense&vs_currencies=usd&include_last_updated_at=true";
    let answer = poller.get(path).await.unwrap();
    assert_eq!(answer.headers()["server"], PROVIDER_NAME);
    let prices: Value = answer.json().await.unwrap();
    assert!(prices["bitcoin"]["usd"].as_f64().unwrap() > 1_000.0);
    assert!(prices["bitcoin"]["last_updated_at"].as_u64().unwrap() > 1_700_000_000);
    assert!(prices.get("nonsense").is_none());
    let list = poller.json("/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D").await;
    assert_eq!(list[1]["symbol"], "ETHUSDT");
    let one = poller.json("/api/v3/ticker/24hr?symbol=BTCUSDT").await;
    assert!(one["lastPrice"].as_str().unwrap().parse::<f64>().unwrap() > 1_000.0);
    assert_eq!(poller.json("/api/v3/ticker/24hr?symbol=XX").await["code"], -1_121);
    let index = poller.json("/fng/?limit=1").await;
    assert!(index["data"][0]["value"].as_str().unwrap().parse::<u8>().unwrap() <= 100);
}

#[tokio::test]
async fn faults_strike_the_next_requests_of_their_path() {
    let poller = Poller::start(false).await;
    poller.server.set_answer("/a", &[], ProviderAnswer::json(r#"{"price":"1234"}"#));
    poller.server.set_answer("/b", &[], ProviderAnswer::json("5"));
    let limited = ProviderFault::TooManyRequests { retry_after: Some(7) };
    let slow = ProviderFault::Slow(Duration::from_millis(30));
    for fault in [
        limited,
        ProviderFault::Status(503),
        ProviderFault::Oversized(100_000),
        ProviderFault::Html,
        ProviderFault::HalfAnswer,
        ProviderFault::Reset,
        slow,
    ] {
        poller.server.inject(Some("/a"), fault, 1);
    }
    assert_eq!(poller.json("/b").await, 5);
    let answer = poller.get("/a").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()),
        (429, "7")
    );
    assert_eq!(poller.get("/a").await.unwrap().status(), 503);
    assert_eq!(poller.get("/a").await.unwrap().text().await.unwrap().len(), 100_000);
    let page = poller.get("/a").await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html");
    assert!(poller.get("/a").await.unwrap().json::<Value>().await.is_err());
    assert!(poller.get("/a").await.is_err());
    assert_eq!(poller.json("/a").await["price"], "1234");
}
