//! `rules test` over what has left the streams: the same firings as over the whole streams.

use std::collections::BTreeSet;

use crypto_intel_sandbox::{Postgres, PostgresOptions};
use crypto_intel_schemas::{Decimal, Event, Kind, Price, polled_event_id};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{eventually, sql_client};
use serde_json::Value;

use crate::bus::Bus;

const BLOCKS: u64 = 20;
/// Rule, alert and title: what was told.
type Said = (String, String, String);

/// A few alerts of each rule are in the report, so each rule has a few.
fn rules() -> String {
    let of_amounts = (0..BLOCKS).map(|number| {
        let (from, to) = (number * 10, number * 10 + 9);
        format!(
            "[[rule]]\nid = \"amounts-{number}\"\non = \"evm.*.transfer.erc20\"\n\
             when = \"amount >= {from}.0 && amount <= {to}.0\"\n\
             title = \"{{{{ amount }}}} {{{{ from_label }}}} in block {{{{ block_number }}}}\"\n"
        )
    });
    let others = "[[rule]]\nid = \"much\"\non = \"evm.*.transfer.erc20\"\nwhen = \"amount > 0.0\"\n\
         trigger = \"window\"\ngroup_by = [\"chain\"]\ntitle = \"{{ sum }} in {{ count }} transfers\"\n\
         [rule.window]\nover = \"1h\"\nof = \"amount\"\nhaving = \"sum > 800.0\"\n\
         [[rule]]\nid = \"price\"\non = \"market.price.bitcoin\"\nwhen = \"price >= 103.0\"\n\
         title = \"bitcoin at {{ price }}\"\n";
    of_amounts.collect::<String>() + others
}

async fn publish(bus: &Bus) {
    for number in 0..BLOCKS {
        let amounts: Vec<u64> = (0..3).map(|of| number * 10 + of).collect();
        bus.publish_block(number + 1, &amounts).await;
        let now = now_us();
        let price = Price {
            id: polled_event_id("test", Kind::Price, "bitcoin/usd", now),
            asset: "bitcoin".into(),
            price: Decimal::parse(&(100 + number % 6).to_string()).unwrap(),
            ..Price::at("test", now, now)
        };
        bus.broker.publish(vec![Event::from(price)]).await;
    }
}

/// Everything that a report shows of the alerts of a stream; a window is opened by a message, whose time tables only know by
/// its block.
fn said(report: &Value) -> BTreeSet<Said> {
    let text = |told: &Value, name: &str| told[name].as_str().unwrap().to_owned();
    let rules = report["streams"].as_array().unwrap().iter();
    let rules = rules.flat_map(|stream| stream["rules"].as_array().unwrap());
    let mut said = BTreeSet::new();
    for rule in rules {
        let named = ["first", "last", "largest"].map(|name| &rule[name]);
        let told = named.into_iter().filter(|told| !told.is_null());
        for told in told.chain(rule["samples"].as_array().unwrap()) {
            let is_window = rule["rule"] == "much";
            let alert = if is_window { String::new() } else { text(told, "alert") };
            said.insert((text(told, "rule"), alert, text(told, "title")));
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_streams_is_read_from_tables_with_the_same_firings() {
    let postgres = Postgres::start(PostgresOptions::default()).await.unwrap();
    let url = postgres.create_database("pipeline").await.unwrap();
    let bus =
        Bus::start(&format!("[database]\nurl = \"{url}\"\n[alerts]\nrules = [\"rules/*.toml\"]\n"))
            .await;
    bus.write("rules/a.toml", &rules());
    bus.ends_with(0, &["migrate"]);
    let mut process = bus.run("run.log");
    publish(&bus).await;
    let client = sql_client(&url).await;
    eventually(async || {
        assert!(!process.has_ended(), "{}", bus.log("run.log"));
        let sql = "SELECT (SELECT count(*) FROM token_transfers), (SELECT count(*) FROM market_ticks), \
                   (SELECT count(*) FROM blocks)";
        let row = client.query_one(sql, &[]).await.unwrap();
        let counts: [i64; 3] = [0, 1, 2].map(|at| row.get(at));
        counts == [3 * BLOCKS as i64, BLOCKS as i64, BLOCKS as i64]
    })
    .await;
    process.kill();
    let test = ["rules", "test", "--since", "1h"];
    let whole = bus.json(0, &test);
    let all = said(&whole);
    assert!(all.len() > 3 * BLOCKS as usize, "{whole:#}");
    assert!(all.iter().any(|(rule, ..)| rule == "much"), "{whole:#}");

    // The streams lose their beginnings, that of the chain amid the seventh block.
    let jetstream = bus.broker.nats.jetstream();
    for (stream, subject, kept_from) in
        [("EVM", "evm.local.transfer.erc20", 19), ("MARKET", "market.price.bitcoin", 11)]
    {
        let messages = bus.broker.messages(stream).await;
        let of_subject = messages.iter().filter(|message| message.subject == subject);
        let first = of_subject.map(|message| message.sequence).nth(kept_from).unwrap();
        let stream = jetstream.get_stream(stream).await.unwrap();
        stream.purge().sequence(first).await.unwrap();
    }
    let rest = bus.json(0, &test);
    let tables = |stream: usize| &rest["streams"][stream]["tables"];
    assert_eq!((&tables(0)["blocks"], &tables(0)["events"]), (&7.into(), &28.into()), "{rest:#}");
    // The first one of the stream was seen before it was stored there: it is in both, and told once.
    assert_eq!(tables(1)["events"], 12, "{rest:#}");
    assert_eq!(said(&rest), all, "{rest:#}");
    let fired = |report: &Value| -> Vec<Value> {
        let rules = report["streams"].as_array().unwrap().iter();
        let rules = rules.flat_map(|stream| stream["rules"].as_array().unwrap());
        rules.map(|rule| rule["fired"].clone()).collect()
    };
    assert_eq!(fired(&rest), fired(&whole), "no event twice");
    let text = bus.ends_with(0, &test);
    assert!(text.contains("  from tables: 28 events in 7 blocks, "), "{text}");
    assert!(text.contains("    names and tags of addresses are those of now"), "{text}");

    // Everything is in the tables, and nothing in the stream.
    for stream in ["EVM", "MARKET"] {
        jetstream.get_stream(stream).await.unwrap().purge().await.unwrap();
    }
    assert_eq!(said(&bus.json(0, &test)), all);
    let rules = bus.folder().join("rules");
    let rules = rules.to_str().unwrap();
    let same =
        bus.ends_with(0, &[&test[..], &["--stream", "EVM", "--diff", rules, rules]].concat());
    assert!(same.contains("0 only in the new, 0 changed, 61 the same"), "{same}");
}
