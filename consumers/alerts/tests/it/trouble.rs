//! Reorgs, undecodable messages, a server that goes away, a wrong rule, state that is lost or replaced.

use crypto_intel_alerts::{Config, run};
use crypto_intel_nats::{Bucket, OutMessage, list_dead_letters};
use crypto_intel_schemas::AlertState;
use crypto_intel_testkit::{Broker, RunningRole, eventually};

use crate::harness::{Servers, block, counter, hash, until_counted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_about_a_replaced_block_is_corrected() {
    let servers = Servers::start().await;
    let role = servers.alerts("one");
    let (moved, dropped) = ((hash(1, 1), 100), (hash(1, 2), 200));
    servers.broker.publish(block(10, hash(2, 10), 1, &[moved, dropped])).await;
    servers.published_when(2).await;
    servers.broker.publish(block(10, hash(2, 10), 2, &[moved, dropped])).await;
    servers.broker.publish(block(10, hash(3, 10), 1, &[])).await;
    servers.broker.publish(block(11, hash(3, 11), 1, &[moved])).await;
    servers.broker.publish(block(12, hash(3, 12), 1, &[])).await;
    // The moved transfer is corrected once; the dropped one is corrected two blocks above the old height.
    let alerts = servers.published_when(4).await;
    let alerts_about = |transaction| {
        alerts
            .iter()
            .filter(|alert| alert.tx_hash == Some(transaction))
            .map(|alert| (alert.n, alert.state, alert.lines.first().cloned().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let moved_line = "Moved to block 11 after a reorganisation, was in block 10.".to_owned();
    let gone_line = "No longer on chain: block 10 was replaced.".to_owned();
    assert_eq!(
        alerts_about(moved.0),
        [(1, AlertState::Fired, String::new()), (2, AlertState::Corrected, moved_line)]
    );
    assert_eq!(
        alerts_about(dropped.0),
        [(1, AlertState::Fired, String::new()), (2, AlertState::Corrected, gone_line)]
    );
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retracted_alert_is_never_taken_for_a_duplicate() {
    let servers = Servers::start().await;
    let role = servers.alerts("one");
    let transfer = (hash(1, 1), 100);
    servers.broker.publish(block(10, hash(2, 10), 1, &[transfer])).await;
    servers.broker.publish(block(10, hash(2, 10), 2, &[transfer])).await;
    for number in 10..=12 {
        servers.broker.publish(block(number, hash(3, number), 1, &[])).await;
    }
    servers.published_when(2).await;
    role.stop().await;
    // The state is lost, and the same block comes again as if for the first time.
    servers.broker.nats.kv(Bucket::RuleState).await.unwrap().delete("evm").await.unwrap();
    let config = Config { lookback_seconds: 0, ..servers.config() };
    let nats = servers.broker.nats.clone();
    let role = RunningRole::start("two", |context| run(config, nats, context));
    role.until_healthy("alerts.evm").await;
    servers.broker.publish(block(10, hash(2, 10), 1, &[transfer])).await;
    until_counted(&role, "contradicted_total").await;
    assert_eq!(counter(&role, "duplicates_total"), 0.0);
    assert_eq!(servers.published().await.len(), 2);
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undecodable_message_is_dead_lettered_and_reading_continues() {
    let servers = Servers::start().await;
    let role = servers.alerts("one");
    let message = OutMessage::new("evm.anvil.transfer.erc20", "this is not MessagePack");
    servers.broker.nats.publish(message).await.unwrap();
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    servers.published_when(1).await;
    let letters = eventually(async || {
        let letters = list_dead_letters(&servers.broker.nats, None, 10).await.unwrap();
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].consumer, "alerts");
    assert_eq!(letters[0].payload, "this is not MessagePack");
    assert!(letters[0].error.contains("not an event body"), "{}", letters[0].error);
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumes_after_the_server_was_killed() {
    let mut servers = Servers::start().await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    servers.published_when(1).await;
    servers.broker.server.kill().unwrap();
    eventually(async || !role.is_healthy("alerts.evm")).await;
    servers.broker.server.start_again().await.unwrap();
    eventually(async || servers.broker.nats.stream_state("EVM").await).await;
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 100)])).await;
    assert_eq!(servers.published_when(2).await.len(), 2);
    role.until_healthy("alerts.evm").await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_wrong_rules_and_no_earlier_ones_the_role_waits_and_names_the_place() {
    let right =
        "[[rule]]\nid = 'x'\non = 'evm.*.transfer.erc20'\nwhen = 'amount == null'\ntitle = 'x'\n";
    let servers = Servers::with_rules(&right.replace("amount", "amout")).await;
    let role = servers.alerts("one");
    role.until_reported(&["alerts", "nothing is evaluated", "test.toml:4:9"]).await;
    assert!(!role.is_ready() && !role.is_healthy("alerts"));
    assert_eq!(counter(&role, "rules_wrong"), 1.0);
    servers.write_rules(right);
    role.until_healthy("alerts.evm").await;
    assert_eq!(counter(&role, "rules_wrong"), 0.0);
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    servers.published_when(1).await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_over_when_another_instance_stored_the_state_and_skips_known_alerts() {
    let servers = Servers::start().await;
    let role = servers.alerts("one");
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    servers.published_when(1).await;
    until_counted(&role, "snapshots_total").await;
    let states = servers.broker.nats.kv(Bucket::RuleState).await.unwrap();
    // It is unreadable, too: rules start over, some way back.
    states.put("evm", "somebody else's").await.unwrap();
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 100)])).await;
    until_counted(&role, "duplicates_total").await;
    assert_eq!(servers.published_when(2).await.len(), 2);
    role.until_healthy("alerts.evm").await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_what_every_consumer_reports() {
    let servers = Servers::start().await;
    let role = servers.alerts("one");
    role.until_healthy("alerts.evm").await;
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100), (hash(1, 2), 1)])).await;
    servers.published_when(1).await;
    until_counted(&role, "published_total").await;
    for (name, at_least) in [
        ("received_total", 3.0),
        ("evaluated_total", 2.0),
        ("matched_total", 1.0),
        ("fired_total", 1.0),
        ("published_total", 1.0),
        ("ticks_total", 1.0),
        ("snapshots_total", 0.0),
        ("dead_lettered_total", 0.0),
    ] {
        assert!(counter(&role, name) >= at_least, "{name}: {}", counter(&role, name));
    }
    let names: Vec<String> =
        role.context.registry.gather().iter().map(|family| family.name().to_owned()).collect();
    for gauge in ["alerts_lag_seconds", "alerts_lag_messages", "leader"] {
        assert!(names.contains(&format!("crypto_intel_{gauge}")), "{gauge}: {names:?}");
    }
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permissions_of_its_user_suffice_for_everything_it_does() {
    let servers = Servers::on(Broker::start_with_users().await);
    let role = servers.alerts_on(servers.broker.connect_as("alerts").await, "one");
    role.until_healthy("alerts.evm").await;
    let message = OutMessage::new("evm.anvil.transfer.erc20", "this is not MessagePack");
    servers.broker.nats.publish(message).await.unwrap();
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    servers.published_when(1).await;
    until_counted(&role, "dead_lettered_total").await;
    until_counted(&role, "snapshots_total").await;
    role.stop().await;
    // Again from empty state: alerts that are refused as duplicates are looked up.
    servers.broker.nats.kv(Bucket::RuleState).await.unwrap().delete("evm").await.unwrap();
    let role = servers.alerts_on(servers.broker.connect_as("alerts").await, "two");
    until_counted(&role, "duplicates_total").await;
    role.stop().await;
}
