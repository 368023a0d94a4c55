//! Reorgs, bodies that are none of ours, a server that goes away, streams that are not there.

use crypto_intel_alerts::{Config, run};
use crypto_intel_nats::{Bucket, OutMessage, list_dead_letters};
use crypto_intel_schemas::AlertState;
use crypto_intel_service::Context;

use crate::harness::{Role, Stage, block, connect_as, hash, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_about_a_replaced_block_is_corrected() {
    let stage = Stage::new().await;
    let role = stage.start("one");
    let (moved, dropped) = ((hash(1, 1), 100), (hash(1, 2), 200));
    stage.publish(block(10, hash(2, 10), 1, &[moved, dropped])).await;
    stage.alerts_when(2).await;
    stage.publish(block(10, hash(2, 10), 2, &[moved, dropped])).await;
    stage.publish(block(10, hash(3, 10), 1, &[])).await;
    stage.publish(block(11, hash(3, 11), 1, &[moved])).await;
    stage.publish(block(12, hash(3, 12), 1, &[])).await;
    // What moved is told once, what is gone two blocks above the old height.
    let alerts = stage.alerts_when(4).await;
    let told = |transaction| {
        alerts
            .iter()
            .filter(|alert| alert.tx_hash == Some(transaction))
            .map(|alert| (alert.n, alert.state, alert.lines.first().cloned().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let moved_line = "Moved to block 11 after a reorganisation, was in block 10.".to_owned();
    let gone_line = "No longer on chain: block 10 was replaced.".to_owned();
    assert_eq!(
        told(moved.0),
        [(1, AlertState::Fired, String::new()), (2, AlertState::Corrected, moved_line)]
    );
    assert_eq!(
        told(dropped.0),
        [(1, AlertState::Fired, String::new()), (2, AlertState::Corrected, gone_line)]
    );
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_people_were_told_is_void_is_never_taken_for_a_duplicate() {
    let stage = Stage::new().await;
    let role = stage.start("one");
    let transfer = (hash(1, 1), 100);
    stage.publish(block(10, hash(2, 10), 1, &[transfer])).await;
    stage.publish(block(10, hash(2, 10), 2, &[transfer])).await;
    for number in 10..=12 {
        stage.publish(block(number, hash(3, number), 1, &[])).await;
    }
    stage.alerts_when(2).await;
    role.stop().await;
    // The state is lost, and the same block comes again as if for the first time.
    stage.nats.kv(Bucket::RuleState).await.unwrap().delete("evm").await.unwrap();
    let config = Config { lookback_seconds: 0, ..stage.config() };
    let context = Context::new("two");
    let task = tokio::spawn(run(config, stage.nats.clone(), context.clone()));
    let role = Role::of(context, task);
    role.until_healthy("alerts.evm").await;
    stage.publish(block(10, hash(2, 10), 1, &[transfer])).await;
    until("contradiction", async || (role.counter("contradicted_total") > 0.0).then_some(())).await;
    assert!((role.counter("duplicates_total") - 0.0).abs() < f64::EPSILON);
    assert_eq!(stage.alerts().await.len(), 2);
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_goes_to_the_dead_letters_and_reading_goes_on() {
    let stage = Stage::new().await;
    let role = stage.start("one");
    let message = OutMessage::new("evm.anvil.transfer.erc20", "this is not MessagePack");
    stage.nats.publish(message).await.unwrap();
    stage.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    stage.alerts_when(1).await;
    let letters = until("dead letter", async || {
        let letters = list_dead_letters(&stage.nats, None, 10).await.unwrap();
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
async fn goes_on_after_the_server_was_killed() {
    let mut stage = Stage::new().await;
    let role = stage.start("one");
    role.until_healthy("alerts.evm").await;
    stage.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    stage.alerts_when(1).await;
    stage.server.kill().unwrap();
    until("unhealthy", async || {
        role.probe("alerts.evm").is_none_or(|(healthy, _)| !healthy).then_some(())
    })
    .await;
    stage.server.start_again().await.unwrap();
    until("connection", async || stage.nats.is_connected().then_some(())).await;
    until("stream", async || stage.nats.stream_state("EVM").await.ok()).await;
    stage.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 100)])).await;
    assert_eq!(stage.alerts_when(2).await.len(), 2);
    role.until_healthy("alerts.evm").await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_rule_ends_the_role_with_its_place() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(
        &file,
        "[[rule]]\nid = 'x'\non = 'evm.*.block'\nwhen = 'gas_usedd > 1'\ntitle = 'x'\n",
    )
    .unwrap();
    let config = Config { rules: vec![file.clone()], ..Config::default() };
    let error = run(config, stage.nats.clone(), Context::new("x")).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&format!("{}:4:9", file.display())), "{text}");
    assert!(text.contains("did you mean `gas_used`?"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_back_when_another_instance_stored_the_state_and_absorbs_what_is_known() {
    let stage = Stage::new().await;
    let role = stage.start("one");
    stage.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    stage.alerts_when(1).await;
    until("snapshot", async || (role.counter("snapshots_total") > 0.0).then_some(())).await;
    let states = stage.nats.kv(Bucket::RuleState).await.unwrap();
    // Not even readable: rules begin anew, some way back.
    states.put("evm", "somebody else's").await.unwrap();
    stage.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 100)])).await;
    until("second look", async || (role.counter("duplicates_total") > 0.0).then_some(())).await;
    assert_eq!(stage.alerts_when(2).await.len(), 2);
    role.until_healthy("alerts.evm").await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_what_every_consumer_reports() {
    let stage = Stage::new().await;
    let role = stage.start("one");
    role.until_healthy("alerts.evm").await;
    stage.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100), (hash(1, 2), 1)])).await;
    stage.alerts_when(1).await;
    until("acknowledgement", async || (role.counter("published_total") > 0.0).then_some(())).await;
    for (counter, at_least) in [
        ("received_total", 3.0),
        ("evaluated_total", 2.0),
        ("matched_total", 1.0),
        ("fired_total", 1.0),
        ("published_total", 1.0),
        ("ticks_total", 1.0),
        ("snapshots_total", 0.0),
        ("dead_lettered_total", 0.0),
    ] {
        assert!(role.counter(counter) >= at_least, "{counter}: {}", role.counter(counter));
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
    let stage = Stage::with_users().await;
    let role = stage.start_on(connect_as(&stage.server, "alerts").await, "one");
    role.until_healthy("alerts.evm").await;
    let message = OutMessage::new("evm.anvil.transfer.erc20", "this is not MessagePack");
    stage.nats.publish(message).await.unwrap();
    stage.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    stage.alerts_when(1).await;
    until("dead letter", async || (role.counter("dead_lettered_total") > 0.0).then_some(())).await;
    until("snapshot", async || (role.counter("snapshots_total") > 0.0).then_some(())).await;
    role.stop().await;
    // From empty state again: what is refused as a duplicate is looked up.
    stage.nats.kv(Bucket::RuleState).await.unwrap().delete("evm").await.unwrap();
    let role = stage.start_on(connect_as(&stage.server, "alerts").await, "two");
    until("duplicate", async || (role.counter("duplicates_total") > 0.0).then_some(())).await;
    role.stop().await;
}
