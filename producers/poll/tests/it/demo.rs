//! The built-in sources against the provider stand-in, which answers as the real ones do.

use crypto_intel_poll::{Config, ProviderSettings, dry_run};
use crypto_intel_sandbox::provider::{ProviderFault, ProviderOptions, ProviderServer};
use crypto_intel_testkit::{Broker, eventually};

use crate::harness::{only_at, price_of, start};

const ENDPOINTS: [&str; 3] =
    ["poll.alternative_me.fear-greed", "poll.binance.ticker-24h", "poll.coingecko.simple-price"];

/// All three sources at the stand-in, once a second.
fn all_at(stand_in: &ProviderServer) -> Config {
    let each_second = || ProviderSettings { every_seconds: Some(1), ..ProviderSettings::default() };
    let names = ["alternative_me", "binance", "coingecko"];
    only_at(&names.map(|name| (name, stand_in.url(), each_second())))
}

#[tokio::test]
async fn every_built_in_source_understands_every_answer() {
    let stand_in = ProviderServer::start(ProviderOptions { generate: true }).await.unwrap();
    let config = all_at(&stand_in);
    for name in ["alternative_me", "binance", "coingecko"] {
        for run in dry_run(&config, name, None).await.unwrap() {
            let answer = run.outcome.unwrap();
            assert!(!answer.events.is_empty(), "{name}");
            assert_eq!(answer.problems, Vec::<String>::new(), "{name}");
        }
    }
}

#[tokio::test]
async fn all_sources_run_together_and_recover_from_what_providers_do() {
    let broker = Broker::start_with_users().await;
    let stand_in = ProviderServer::start(ProviderOptions { generate: true }).await.unwrap();
    stand_in.inject(Some("/api/v3/simple/price"), ProviderFault::Html, 1);
    stand_in.inject(Some("/api/v3/ticker/24hr"), ProviderFault::Reset, 1);
    let role = start(&broker, all_at(&stand_in), "a").await;
    eventually(async || ENDPOINTS.iter().all(|name| role.is_healthy(name)) && role.is_ready())
        .await;
    assert_eq!(broker.count("SIGNALS").await, 1);
    eventually(async || {
        price_of(&broker, "bitcoin").await.is_some_and(|price| price.source == "binance")
    })
    .await;
    let dai = price_of(&broker, "dai").await.unwrap();
    assert_eq!(dai.source, "coingecko", "the only one that has it");
    assert_eq!(role.metric("crypto_intel_poll_requests_total", &["not_json"]), 1.0);
    assert_eq!(role.metric("crypto_intel_poll_requests_total", &["transport"]), 1.0);
    role.stop().await;
}
