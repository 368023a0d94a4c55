//! Rules by the binary: wrong files, changed ones, and what they would have said of the past.

use crypto_intel_nats::Bucket;
use crypto_intel_testkit::eventually;

use crate::bus::Bus;

const SETTINGS: &str = "[alerts]\nrules = [\"rules/*.toml\"]\nreload_ms = 50\n";

/// What the log says once changed rules are in force for the chains.
const TAKEN: &str = "\"changed rules are in force\",\"stream\":\"EVM\"";

fn rule(id: &str, from: u64, title: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\non = \"evm.*.transfer.erc20\"\nwhen = \"amount >= {from}.0\"\ntitle = \"{title}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typo_in_a_rule_file_stops_nothing_and_the_last_good_rules_alert() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("rules/a.toml", &rule("a", 1, "old {{ amount }}"));
    let mut process = bus.run("first.log");
    bus.publish_block(1, &[1]).await;
    assert_eq!(bus.titles_of(1).await, ["old 1"]);
    let kept = bus.broker.nats.kv(Bucket::RuleState).await.unwrap();
    eventually(async || !kept.keys("sets.texts.").await.unwrap().is_empty()).await;
    process.kill();
    let leases = bus.broker.nats.kv(Bucket::Leases).await.unwrap();
    leases.delete("alerts").await.unwrap();

    bus.write("rules/a.toml", &rule("a", 1, "new {{ amount }}").replace("title", "titel"));
    let mut process = bus.run("second.log");
    bus.publish_block(2, &[2]).await;
    let titles = eventually(async || {
        assert!(!process.has_ended(), "the process ended:\n{}", bus.log("second.log"));
        let titles: Vec<String> = bus.alerts().await.into_iter().map(|it| it.title).collect();
        (titles.len() == 2).then_some(titles)
    })
    .await;
    assert_eq!(titles, ["old 1", "old 2"]);
    bus.until_logged(&mut process, "second.log", "rule files are wrong, the last good").await;
    let wrong = bus.ends_with(1, &["rules", "check"]);
    assert!(wrong.contains("unknown field `titel`") && wrong.contains("`title`?"), "{wrong}");

    bus.write("rules/a.toml", &rule("a", 1, "new {{ amount }}"));
    bus.until_logged(&mut process, "second.log", TAKEN).await;
    bus.publish_block(3, &[3]).await;
    assert_eq!(bus.titles_of(3).await, ["old 1", "old 2", "new 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rules_that_were_ever_right_alerts_waits_for_them_and_is_not_ready() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("rules/a.toml", "[[rule]\n");
    let mut process = bus.run("run.log");
    bus.until_logged(&mut process, "run.log", "no earlier rules are kept").await;
    let log = bus.log("run.log");
    let serving = log.lines().find(|line| line.contains("serving /live")).unwrap();
    let port = serving.split("127.0.0.1:").nth(1).unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    // Another test of the process may have done it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ready = async || {
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/ready")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, text) = ready().await;
    assert_eq!(status, 503, "{text}");
    assert!(
        text.contains("nothing is evaluated; the first in") && text.contains("a.toml:1:"),
        "{text}"
    );

    bus.write("rules/a.toml", &rule("a", 1, "{{ amount }}"));
    bus.publish_block(1, &[7]).await;
    assert_eq!(bus.titles_of(1).await, ["7"]);
    eventually(async || ready().await.0 == 200).await;
    assert!(!process.has_ended());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_would_have_said_is_counted_and_shown_once_each() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("rules/a.toml", &rule("a", 10, "{{ amount }} moved"));
    let text = bus.ends_with(0, &["rules", "test"]);
    assert!(text.contains("EVM: no messages"), "{text}");
    bus.publish_block(1, &[5, 50, 10]).await;
    bus.publish_block(2, &[20, 30, 20]).await;
    let text = bus.ends_with(0, &["rules", "test", "--since", "start"]);
    assert!(text.contains("EVM: 8 messages"), "{text}");
    let row: Vec<&str> = text
        .lines()
        .find(|line| line.trim_start().starts_with("a "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row, ["a", "5", "5", "0", "0", "0", "0"]);
    let shown: Vec<String> = text
        .lines()
        .filter(|line| line.ends_with(" moved"))
        .map(|line| {
            let (label, rest) = line.trim().split_once("  ").unwrap();
            format!("{label}: {}", rest.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected =
        ["first, largest: 50 moved", "last: 20 moved", "such as: 10 moved", "such as: 30 moved"];
    assert_eq!(shown, expected, "{text}");
    assert!(bus.alerts().await.is_empty(), "nothing is published");

    let report = bus.json(0, &["rules", "test"]);
    let found = &report["streams"][0]["rules"][0];
    assert_eq!((&found["fired"], &found["evaluated"]), (&5.into(), &6.into()), "{report}");
    assert_eq!(found["samples"].as_array().unwrap().len(), 2, "{report}");
    let failing =
        rule("b", 10, "x") + "[[rule.example]]\nfires = true\nevents = [{ amount = 1 }]\n";
    bus.write("other/b.toml", &failing);
    let other = bus.folder().join("other");
    let text = bus.ends_with(1, &["rules", "test", "--rules", other.to_str().unwrap()]);
    assert!(text.contains("it must fire, and does not"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_rule_sets_are_compared_over_the_same_events() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("rules/a.toml", &rule("a", 10, "{{ amount }} moved"));
    bus.write("new/a.toml", &rule("a", 30, "{{ amount }} moved"));
    bus.publish_block(1, &[5, 50, 10, 20]).await;
    let (old, new) = (bus.folder().join("rules"), bus.folder().join("new"));
    let [old, new] = [old.to_str().unwrap(), new.to_str().unwrap()];
    let text = bus.ends_with(1, &["rules", "test", "--diff", old, new]);
    assert!(
        text.contains("2 only in the old rules, 0 only in the new, 0 changed, 1 the same"),
        "{text}"
    );
    let gone: Vec<&str> = text.lines().filter(|line| line.contains("  - a: ")).collect();
    assert!(gone[0].ends_with("10 moved") && gone[1].ends_with("20 moved"), "{text}");
    let same = bus.ends_with(0, &["rules", "test", "--diff", old, old]);
    assert!(same.contains("0 changed, 3 the same"), "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_cannot_read_fails_and_a_range_without_messages_does_not() {
    let bus = Bus::start(SETTINGS).await;
    bus.write("rules/a.toml", &rule("a", 10, "{{ amount }} moved"));
    bus.publish_block(1, &[50]).await;
    let past = ["rules", "test", "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"];
    let text = bus.ends_with(0, &past);
    assert!(text.contains("missing: all of it: the range is older"), "{text}");
    bus.ends_with(2, &["rules", "test", "--since", "yesterday"]);
    bus.ends_with(2, &["rules", "test", "--from", "1h", "--to", "2h"]);
    bus.ends_with(1, &["rules", "test", "--stream", "MARKET"]);
    // The user of notify may look at the stream, and may not read it.
    let bus = Bus::start_as("notify", SETTINGS).await;
    bus.write("rules/a.toml", &rule("a", 10, "{{ amount }} moved"));
    bus.publish_block(1, &[50]).await;
    let output = bus.command(&["rules", "test"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("read stream EVM"), "{errors}");
}
