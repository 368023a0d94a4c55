//! Every alert is published once, whatever happens to the role.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_alerts::{Engine, Metrics, RuleSet, RuleStream, load_rules};
use crypto_intel_schemas::{Alert, B256, Event, subjects};
use crypto_intel_service::prometheus::Registry;
use crypto_intel_testkit::{SeededRandom, eventually};

use crate::harness::{Servers, block, count_by_transaction, counter, hash, until_counted};

const BLOCKS: u64 = 80;
const TRANSFERS: u64 = 12;
const KILLS: u32 = 10;
const BLOCK_INTERVAL: Duration = Duration::from_millis(10);

/// Every third transfer is large enough.
fn transfers_of(number: u64) -> Vec<(B256, u64)> {
    (0..TRANSFERS)
        .map(|index| {
            let transaction = number * TRANSFERS + index;
            (hash(1, transaction), if transaction.is_multiple_of(3) { 100 } else { 99 })
        })
        .collect()
}

fn expected() -> BTreeMap<B256, usize> {
    let large = (0..BLOCKS).flat_map(transfers_of).filter(|(_, amount)| *amount >= 100);
    large.map(|(transaction, _)| (transaction, 1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alert_is_published_once_despite_kills_at_arbitrary_points() {
    let servers = Arc::new(Servers::start().await);
    let mut random = SeededRandom::from_environment();
    let publisher = {
        let servers = Arc::clone(&servers);
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(BLOCK_INTERVAL);
            for number in 0..BLOCKS {
                pace.tick().await;
                let events = block(number, hash(2, number), 1, &transfers_of(number));
                servers.broker.publish(events).await;
            }
        })
    };
    let mut republished = 0.0;
    for kill in 0..KILLS {
        let role = servers.alerts(&format!("instance-{kill}"));
        until_counted(&role, "received_total").await;
        random.pause_ms(0..120).await;
        republished += counter(&role, "duplicates_total");
        servers.kill(role).await;
    }
    publisher.await.unwrap();
    let role = servers.alerts("last");
    let alerts = servers.published_when(expected().len()).await;
    assert_eq!(count_by_transaction(&alerts), expected());
    role.until_healthy("alerts.evm").await;
    println!("refused as duplicates before the last start: {republished}");
    role.stop().await;
    assert_eq!(servers.published().await.len(), expected().len(), "none came later");
    replay_gives_the_same(&servers, alerts).await;
}

/// Runs the stored stream through an engine with empty state.
async fn replay_gives_the_same(servers: &Servers, mut published: Vec<Alert>) {
    let rules: RuleSet = load_rules(&servers.config().rules, Some(&["ops".to_owned()])).unwrap();
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let mut engine = Engine::new(Arc::new(rules), RuleStream::Evm, &metrics);
    let mut again = Vec::new();
    for message in servers.broker.messages("EVM").await {
        engine.apply(&message, &mut again).unwrap();
    }
    let order = |alerts: &mut Vec<Alert>| alerts.sort_by(|one, other| one.id.cmp(&other.id));
    order(&mut published);
    order(&mut again);
    assert_eq!(again, published, "the same to the last field");
    let subject = |alert: &Alert| subjects::of(&Event::from(alert.clone()));
    let held: Vec<String> =
        servers.broker.messages("ALERT").await.into_iter().map(|message| message.subject).collect();
    assert!(again.iter().all(|alert| held.contains(&subject(alert))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_stands_by_and_takes_over() {
    let servers = Servers::start().await;
    let first = servers.alerts("first");
    first.until_healthy("alerts.evm").await;
    let second = servers.alerts("second");
    eventually(async || {
        let probe = second.probe("alerts")?;
        (probe.healthy && probe.detail.contains("standing by, first leads")).then_some(())
    })
    .await;
    servers.broker.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    servers.published_when(1).await;
    assert_eq!(counter(&second, "received_total"), 0.0);
    assert!(second.is_ready(), "standing by is ready");
    servers.kill(first).await;
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 100)])).await;
    let alerts = servers.published_when(2).await;
    assert_eq!(alerts.len(), 2);
    second.until_healthy("alerts.evm").await;
    second.stop().await;
}
