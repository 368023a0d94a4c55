//! Golden vectors of what buckets hold: keys and values as they are stored.

use std::fs;

use crypto_intel_schemas::{
    Acknowledgement, Address, AssetPrice, B256, ChainCursor, Decimal, FactChoice, FactValue,
    HeldPrice, HeldValue, Kind, PersistedPosition, Silence, SourcePrice, SourceValue,
    SourceVerdict, Verified, WatchChain, WatchEntry, WatchKind, Watched, leases,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::drift::{folder, is_update, names};

/// Bucket, key and value of one entry, and whether the value is read back as it was.
fn entry<T: Serialize + DeserializeOwned + PartialEq>(key: &str, value: &T) -> String {
    let text = serde_json::to_string(value).unwrap();
    assert!(serde_json::from_str::<T>(&text).unwrap() == *value, "{key}");
    format!("{key} {text}\n")
}

fn vectors() -> Vec<(&'static str, String)> {
    let hash = B256::repeat_byte(0xab);
    let price = AssetPrice {
        price: Decimal::parse("64000.5").unwrap(),
        at_us: 1_729_290_479_000_000,
        source: "coingecko".to_owned(),
        ..AssetPrice::default()
    };
    let chosen = AssetPrice {
        how: Some(FactChoice::Preferred),
        sources: vec![
            SourcePrice {
                source: "binance".to_owned(),
                price: Decimal::parse("71111.1").unwrap(),
                quote: "usdt".to_owned(),
                at_us: 1_729_290_479_500_000,
                dollars: Some(Decimal::parse("63999.99").unwrap()),
                verdict: SourceVerdict::Jump,
            },
            SourcePrice {
                source: "coingecko".to_owned(),
                price: price.price.clone(),
                quote: "usd".to_owned(),
                at_us: price.at_us,
                dollars: None,
                verdict: SourceVerdict::Used,
            },
        ],
        held: Some(HeldPrice {
            source: "binance".to_owned(),
            price: Decimal::parse("63999.99").unwrap(),
            since_us: 1_729_290_479_500_000,
        }),
        ..price.clone()
    };
    let gas = FactValue {
        fact: "metric gas.fast of ethereum".to_owned(),
        value: Decimal::parse("20.5").unwrap(),
        unit: Some("gwei".to_owned()),
        at_us: 1_729_290_479_000_000,
        source: "blocknative".to_owned(),
        how: Some(FactChoice::Median),
        sources: vec![SourceValue {
            source: "blocknative".to_owned(),
            value: Decimal::parse("20.5").unwrap(),
            at_us: 1_729_290_479_000_000,
            verdict: SourceVerdict::Used,
        }],
        held: Some(HeldValue {
            source: "blockscout".to_owned(),
            value: Decimal::parse("900").unwrap(),
            since_us: 1_729_290_479_500_000,
        }),
    };
    let cursor = ChainCursor {
        number: 21_000_000,
        hash,
        sequence: 77,
        final_number: 20_999_936,
        final_hash: B256::repeat_byte(0xcd),
        final_sequence: 5,
        at_us: 1_729_290_480_250_000,
    };
    let position = PersistedPosition { sequence: 4_217, at_us: 1_729_290_480_250_000 };
    let verified = Verified {
        from: 20_000_000,
        number: 21_000_000,
        hash,
        against: "database".to_owned(),
        at_us: 1_729_290_480_250_000,
        scope: Some("8d3f1c0a57be2946".to_owned()),
    };
    let watched = WatchEntry {
        label: Some("treasury".to_owned()),
        tags: vec!["cold".to_owned()],
        kind: WatchKind::Contract,
        group: Some("desk".to_owned()),
        owner: Some("Alice".to_owned()),
        notes: Some("since the audit".to_owned()),
        added_at_us: 1_729_290_480_250_000,
    };
    let silence = Silence {
        id: "K7Q2M".to_owned(),
        matchers: vec!["rule=depeg".to_owned(), "chain in (base, optimism)".to_owned()],
        starts_us: 1_729_290_480_250_000,
        ends_us: 1_729_297_680_250_000,
        author: "ana".to_owned(),
        reason: "the exchange maintains its order books".to_owned(),
        ended_by: Some("luis".to_owned()),
        told_us: Some(1_729_297_681_000_000),
    };
    let acknowledgement = Acknowledgement {
        alert: "9f2c41d07be83a65".to_owned(),
        by: "ana".to_owned(),
        at_us: 1_729_290_490_000_000,
    };
    let watch_key = Watched::key(&WatchChain::All, &Address::repeat_byte(0xab).into());
    vec![
        (
            "prices",
            entry(&AssetPrice::key("bitcoin"), &price)
                + &entry(&AssetPrice::key("wrapped bitcoin"), &price)
                + &entry(&AssetPrice::key("ethereum"), &chosen),
        ),
        (
            "facts",
            entry(&FactValue::key(Kind::Metric, "gas.fast/ethereum", Some("gwei")), &gas)
                + &entry(&FactValue::key(Kind::Index, "fear-greed", None), &FactValue::default()),
        ),
        (
            "cursors",
            entry(&ChainCursor::key("evm", "base"), &cursor)
                + &entry(&PersistedPosition::key("HISTORY"), &position)
                + &entry(&Verified::key("base"), &verified),
        ),
        ("silences", entry(&silence.id, &silence)),
        ("routing", entry(&Acknowledgement::key(&acknowledgement.alert), &acknowledgement)),
        ("watchlist", entry(&watch_key, &watched) + &entry(&watch_key, &WatchEntry::default())),
        (
            "leases",
            [leases::chain("evm", "base"), leases::persist("HISTORY"), leases::ALERTS.to_owned()]
                .join("\n")
                + "\n",
        ),
    ]
}

#[test]
fn buckets_hold_what_the_golden_vectors_say() {
    let golden = folder("golden/kv");
    let mut expected = Vec::new();
    for (bucket, text) in vectors() {
        let name = format!("{bucket}.txt");
        if is_update("UPDATE_GOLDEN") {
            fs::create_dir_all(&golden).unwrap();
            fs::write(golden.join(&name), &text).unwrap();
        }
        assert_eq!(fs::read_to_string(golden.join(&name)).expect(&name), text, "{bucket}");
        expected.push(name);
    }
    expected.sort();
    assert_eq!(names(&golden).into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn values_of_earlier_writers_are_read() {
    let read: AssetPrice = serde_json::from_str(r#"{"price":"1.5","at_us":7}"#).unwrap();
    assert_eq!((read.price.as_str(), read.source.as_str()), ("1.5", ""));
    // Of later writers, too: what this version does not know is no reason to lose the price.
    let later = r#"{"price":"1.5","at_us":7,"source":"x","how":"weighed","more":1,
        "sources":[{"source":"x","price":"1.5","quote":"usd","at_us":7,"verdict":"weighed"}]}"#;
    let read: AssetPrice = serde_json::from_str(later).unwrap();
    assert_eq!(read.how, Some(FactChoice::Unknown));
    assert_eq!(read.sources[0].verdict, SourceVerdict::Unknown);
    let read: PersistedPosition = serde_json::from_str(r#"{"sequence":7,"more":1}"#).unwrap();
    assert_eq!(read.sequence, 7);
    assert_eq!(AssetPrice::asset_of_key(&AssetPrice::key("wrapped bitcoin")), "wrapped bitcoin");
}
