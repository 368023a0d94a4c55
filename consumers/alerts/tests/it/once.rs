//! Every alert once, whatever happens to the role.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_alerts::{Engine, Metrics, RuleSet, SourceStream, load_rules};
use crypto_intel_schemas::{Alert, B256, Event, subjects};
use crypto_intel_service::{now_us, prometheus::Registry};

use crate::harness::{Stage, block, count_by_transaction, hash, until};

const BLOCKS: u64 = 80;
const TRANSFERS: u64 = 12;
const KILLS: u32 = 10;

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

/// A small generator: what matters is only that the seed is shown.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_alert_is_published_once_over_kills_at_arbitrary_points() {
    let stage = Arc::new(Stage::new().await);
    let mut random = now_us().unsigned_abs();
    println!("seed {random}");
    let publisher = {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move {
            for number in 0..BLOCKS {
                stage.publish(block(number, hash(2, number), 1, &transfers_of(number))).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    let mut republished = 0.0;
    for kill in 0..KILLS {
        let role = stage.start(&format!("instance-{kill}"));
        until("start", async || (role.counter("received_total") > 0.0).then_some(())).await;
        let life = Duration::from_millis(next_random(&mut random) % 120);
        tokio::time::sleep(life).await;
        republished += role.counter("duplicates_total");
        stage.kill(role).await;
    }
    publisher.await.unwrap();
    let role = stage.start("last");
    let alerts = stage.alerts_when(expected().len()).await;
    assert_eq!(count_by_transaction(&alerts), expected());
    role.until_healthy("alerts.evm").await;
    println!("refused as duplicates before the last start: {republished}");
    role.stop().await;
    assert_eq!(stage.alerts().await.len(), expected().len(), "none came later");
    replay_gives_the_same(&stage, alerts).await;
}

/// The stream as it is now through an engine with empty state.
async fn replay_gives_the_same(stage: &Stage, mut published: Vec<Alert>) {
    let rules: RuleSet = load_rules(&stage.config().rules, &["ops".to_owned()]).unwrap();
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let mut engine = Engine::new(Arc::new(rules), SourceStream::Evm, &metrics);
    let mut again = Vec::new();
    for message in stage.all("EVM").await {
        engine.apply(&message, &mut again).unwrap();
    }
    let order = |alerts: &mut Vec<Alert>| alerts.sort_by(|one, other| one.id.cmp(&other.id));
    order(&mut published);
    order(&mut again);
    assert_eq!(again, published, "the same to the last field");
    let subject = |alert: &Alert| subjects::of(&Event::from(alert.clone()));
    let held: Vec<String> =
        stage.all("ALERT").await.into_iter().map(|message| message.subject).collect();
    assert!(again.iter().all(|alert| held.contains(&subject(alert))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_instance_stands_by_and_takes_over() {
    let stage = Stage::new().await;
    let first = stage.start("first");
    first.until_healthy("alerts.evm").await;
    let second = stage.start("second");
    until("standby", async || {
        second
            .probe("alerts")
            .filter(|(healthy, detail)| *healthy && detail.contains("standing by, first leads"))
    })
    .await;
    stage.publish(block(1, hash(2, 1), 1, &[(hash(1, 1), 100)])).await;
    stage.alerts_when(1).await;
    assert!((second.counter("received_total") - 0.0).abs() < f64::EPSILON);
    assert!(second.context.health.report().ready, "standing by is ready");
    stage.kill(first).await;
    stage.publish(block(2, hash(2, 2), 1, &[(hash(1, 2), 100)])).await;
    let alerts = stage.alerts_when(2).await;
    assert_eq!(alerts.len(), 2);
    second.until_healthy("alerts.evm").await;
    second.stop().await;
}
