//! What an operator sees of facts.

use crypto_intel_nats::Bucket;
use crypto_intel_schemas::{
    AssetPrice, Decimal, FactChoice, FactValue, Kind, SourcePrice, SourceValue, SourceVerdict,
};
use crypto_intel_testkit::Broker;
use serde_json::Value;

use crate::servers::binary;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_each_source_with_its_value_age_and_verdict() {
    let broker = Broker::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crypto-intel.toml");
    std::fs::write(&config, format!("[nats]\nurl = \"{}\"\n", broker.server.url())).unwrap();
    let run = |arguments: &[&str]| {
        let output = binary(&config).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&["facts"]);
    assert!(code == Some(1) && text.contains("no such fact is known"), "{text}");

    let at_us = crypto_intel_service::now_us() - 5_000_000;
    let said = |source: &str, value: &str, verdict| SourceValue {
        source: source.to_owned(),
        value: decimal(value),
        at_us,
        verdict,
    };
    let gas = FactValue {
        fact: "metric gas.fast of ethereum".to_owned(),
        value: decimal("20.5"),
        unit: Some("gwei".to_owned()),
        at_us,
        source: "one".to_owned(),
        how: Some(FactChoice::Median),
        sources: vec![
            said("one", "20.5", SourceVerdict::Used),
            said("two", "900", SourceVerdict::Outlier),
        ],
        held: None,
    };
    let key = FactValue::key(Kind::Metric, "gas.fast/ethereum", Some("gwei"));
    let facts = broker.nats.kv(Bucket::Facts).await.unwrap();
    facts.put(&key, serde_json::to_vec(&gas).unwrap()).await.unwrap();
    let price = AssetPrice {
        price: decimal("64000.5"),
        at_us,
        source: "three".to_owned(),
        how: Some(FactChoice::Only),
        sources: vec![SourcePrice {
            source: "three".to_owned(),
            price: decimal("64000.5"),
            quote: "usdt".to_owned(),
            at_us,
            dollars: None,
            verdict: SourceVerdict::Used,
        }],
        held: None,
    };
    let prices = broker.nats.kv(Bucket::Prices).await.unwrap();
    let value = serde_json::to_vec(&price).unwrap();
    prices.put(&AssetPrice::key("bitcoin"), value).await.unwrap();

    let (code, text) = run(&["facts"]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["price of bitcoin/usd", "usdt", "gas.fast of ethereum", "900", "outlier", "median"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, text) = run(&["--json", "facts", "metric", "gas.fast"]);
    let reports: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(reports.as_array().unwrap().len(), 1);
    assert_eq!(reports[0]["sources"][1]["verdict"], "outlier");
    assert_eq!(run(&["facts", "index"]).0, Some(1));
}
