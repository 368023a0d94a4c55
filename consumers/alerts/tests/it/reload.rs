//! Rule files that change while the role runs.

use crypto_intel_alerts::rules_in_force;
use crypto_intel_nats::Bucket;
use crypto_intel_schemas::Alert;
use crypto_intel_testkit::{RunningRole, eventually};

use crate::harness::{Servers, block, counter, hash, until_counted};

fn rule(id: &str, on: &str, title: &str) -> String {
    format!("[[rule]]\nid = '{id}'\non = '{on}'\ntitle = '{title}'\n")
}

/// Rule and title of every alert, in the order of the stream.
fn said(alerts: &[Alert]) -> Vec<(String, String)> {
    alerts.iter().map(|alert| (alert.rule.clone(), alert.title.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_in_force_without_a_restart() {
    let servers = Servers::with_rules(&rule("a", "evm.*.transfer.erc20", "old")).await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 1)])).await;
    servers.published_when(1).await;
    // Another text, another rule, and a kind that was not read before.
    let changed = rule("a", "evm.*.transfer.erc20", "new") + &rule("b", "evm.*.block", "block");
    servers.write_rules(&changed);
    until_counted(&role, "rule_sets_taken_total").await;
    eventually(async || taken(&role, "evm") && taken(&role, "market")).await;
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 1)])).await;
    let alerts = servers.published_when(3).await;
    let expected = [("a", "old"), ("a", "new"), ("b", "block")];
    assert_eq!(said(&alerts), expected.map(|(rule, title)| (rule.into(), title.into())));
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_file_leaves_the_last_good_rules_in_force_over_a_restart() {
    let servers = Servers::with_rules(&rule("a", "evm.*.transfer.erc20", "good")).await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    // The last good rules are kept.
    let buckets = servers.broker.nats.kv(Bucket::RuleState).await.unwrap();
    eventually(async || !buckets.keys("sets.texts.").await.unwrap().is_empty()).await;
    servers.write_rules(
        "[[rule]]\nid = 'a'\non = 'evm.*.block'\nwhen = 'gas_usedd > 1'\ntitle = 'x'\n",
    );
    until_counted(&role, "rules_wrong").await;
    role.until_reported(&["alerts.rules", "test.toml:4:9"]).await;
    assert!(!role.is_healthy("alerts.rules") && role.is_ready(), "rules are evaluated");
    // Who lists the rules is told both.
    let told = eventually(async || {
        let told = rules_in_force(&servers.broker.nats).await.unwrap();
        told.wrong.is_some().then_some(told)
    })
    .await;
    assert_eq!((told.rules.len(), told.rules[0].text.contains("title = 'good'")), (1, true));
    let wrong = told.wrong.unwrap();
    assert_eq!(
        (wrong.count, wrong.problems[0].line, wrong.problems[0].column),
        (1, Some(4), Some(9))
    );
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 1)])).await;
    servers.published_when(1).await;
    role.stop().await;

    let role = servers.alerts("two");
    role.until_healthy("alerts.evm").await;
    until_counted(&role, "rules_wrong").await;
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 1)])).await;
    let alerts = servers.published_when(2).await;
    assert!(alerts.iter().all(|alert| alert.title == "good"), "{:?}", said(&alerts));
    // A corrected file ends it.
    servers.write_rules(&rule("a", "evm.*.transfer.erc20", "better"));
    eventually(async || taken(&role, "evm")).await;
    assert_eq!(counter(&role, "rules_wrong"), 0.0);
    let told = rules_in_force(&servers.broker.nats).await.unwrap();
    assert!(told.wrong.is_none() && told.rules[0].text.contains("better"), "{told:?}");
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_goes_back_takes_the_changed_rules_at_the_same_message() {
    let servers = Servers::with_rules(&rule("a", "evm.*.transfer.erc20", "old")).await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 1)])).await;
    servers.published_when(1).await;
    // A snapshot before the change: that is where the next instance will go back to.
    let states = servers.broker.nats.kv(Bucket::RuleState).await.unwrap();
    let (head, records) = eventually(async || {
        let head = states.get("evm").await.unwrap()?;
        let records = states.entries("evm.").await.unwrap();
        let again = states.get("evm").await.unwrap()?;
        (head.revision == again.revision).then_some((head.value, records))
    })
    .await;
    servers.write_rules(&rule("a", "evm.*.transfer.erc20", "new"));
    eventually(async || taken(&role, "evm")).await;
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 1)])).await;
    let before = servers.published_when(2).await;
    role.stop().await;

    for (key, record) in records {
        states.put(&key, record.value).await.unwrap();
    }
    states.put("evm", head).await.unwrap();
    servers.purge_alerts().await;
    let role = servers.alerts("two");
    let after = eventually(async || {
        let alerts = servers.published().await;
        alerts.iter().any(|alert| alert.title == "new").then_some(alerts)
    })
    .await;
    // What the snapshot knows is not said again; the rest is word for word the same.
    let known = |alerts: &[Alert]| {
        alerts.iter().map(|it| (it.id.clone(), it.title.clone())).collect::<Vec<_>>()
    };
    assert!(known(&before).ends_with(&known(&after)), "{:?} {:?}", said(&before), said(&after));
    assert_eq!(said(&after).last().unwrap().1, "new");
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_refuses_to_be_asked_does_not_hold_up_the_others() {
    let servers = Servers::with_rules(&rule("a", "evm.*.transfer.erc20", "one")).await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    // The server answers as for a subject that is taken: the stream is full.
    let stream = servers.broker.nats.jetstream().get_stream("ALERT").await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.max_bytes = 1;
    servers.broker.nats.jetstream().update_stream(config).await.unwrap();
    for (count, title) in [(1.0, "two"), (2.0, "three")] {
        servers.write_rules(&rule("a", "evm.*.transfer.erc20", title));
        eventually(async || sets_taken(&role, "evm") >= count).await;
    }
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_is_kept_no_more_is_replaced_aloud() {
    let servers = Servers::with_rules(&rule("a", "evm.*.transfer.erc20", "old")).await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 1)])).await;
    servers.published_when(1).await;
    until_counted(&role, "snapshots_total").await;
    let bucket = servers.broker.nats.kv(Bucket::RuleState).await.unwrap();
    eventually(async || !bucket.keys("sets.texts.").await.unwrap().is_empty()).await;
    role.stop().await;
    for key in bucket.keys("sets.texts.").await.unwrap() {
        bucket.delete(&key).await.unwrap();
    }
    servers.write_rules(&rule("a", "evm.*.transfer.erc20", "new"));
    let role = servers.alerts("two");
    role.until_healthy("alerts.evm").await;
    assert_eq!(role.metric("crypto_intel_alerts_rule_sets_missing_total", &["evm"]), 1.0);
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 1)])).await;
    assert_eq!(servers.published_when(2).await[1].title, "new");
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_a_reader_may_still_meet_a_tick_for_are_kept() {
    let servers = Servers::with_rules(&rule("a", "evm.*.transfer.erc20", "old")).await;
    let bucket = servers.broker.nats.kv(Bucket::RuleState).await.unwrap();
    // Asked for by an instance that is gone, at a message that no reader has come to.
    let pending = "sets.texts.00000000000000aa";
    bucket.put(pending, r#"{"files":[]}"#).await.unwrap();
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    servers.write_rules(&rule("a", "evm.*.transfer.erc20", "new"));
    eventually(async || taken(&role, "evm")).await;
    let kept = bucket.keys("sets.texts.").await.unwrap();
    assert!(kept.iter().any(|key| key == pending), "{kept:?}");
    role.stop().await;
}

fn taken(role: &RunningRole, stream: &str) -> bool {
    sets_taken(role, stream) > 0.0
}

fn sets_taken(role: &RunningRole, stream: &str) -> f64 {
    role.metric("crypto_intel_alerts_rule_sets_taken_total", &[stream])
}
