//! The bucket on a real server: what a crash, another instance or an older version leaves there.
#![allow(clippy::unwrap_used)]

use async_nats::HeaderMap;
use crypto_intel_sandbox::NatsOptions;
use crypto_intel_testkit::Broker;

use super::*;
use crate::engine::{cooldown_group::CooldownGroup, state::NO_CHAIN};

async fn broker() -> Broker {
    Broker::start_with(NatsOptions { sync_always: false, ..NatsOptions::default() }).await
}

async fn load(broker: &Broker) -> (SnapshotStore, State) {
    let (store, state) = SnapshotStore::load(&broker.nats, "evm").await.unwrap();
    (store, state.unwrap_or_else(State::empty))
}

/// Changes some groups, and notes how far the state is.
fn change(state: &mut State, sequence: u64, groups: std::ops::Range<u32>) {
    state.position = Position { sequence, stored_at_us: 1 };
    for group in groups {
        let name = format!("{group} {sequence} {}", "x".repeat(2_000));
        *state.group_mut("rule", &name) = CooldownGroup::default();
    }
    state.chains.entry(NO_CHAIN.to_owned()).or_default();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_cut_off_after_any_write_leaves_the_one_before() {
    let broker = broker().await;
    let (mut store, mut state) = load(&broker).await;
    // Enough that several shards are written, and the log.
    change(&mut state, 1, 0..2_000);
    let snapshot = store.take(&mut state);
    assert!(snapshot.len() > 10, "{}", snapshot.len());
    store.save(&snapshot).await.unwrap();
    change(&mut state, 2, 0..2_000);
    let next = store.take(&mut state);
    for cut in [1, 2, 3, 10, next.len() / 2, next.len() - 1, next.len()] {
        // Everything up to here arrives, the end of the batch does not.
        for (index, (key, body)) in next[..cut].iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("cut-{cut}"));
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
            let subject = format!("$KV.rule_state.{key}");
            let client = broker.nats.client();
            client.publish_with_headers(subject, headers, body.clone()).await.unwrap();
        }
        broker.nats.client().flush().await.unwrap();
        let (_, found) = load(&broker).await;
        assert_eq!(found.position.sequence, 1, "after {cut} writes");
        assert_eq!(found.groups.iter().count(), 2_000);
    }
    store.save(&next).await.unwrap();
    let (_, found) = load(&broker).await;
    assert_eq!(found, state);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_instances_only_one_stores_its_state() {
    let broker = broker().await;
    let (mut one, mut state) = load(&broker).await;
    change(&mut state, 1, 0..10);
    let snapshot = one.take(&mut state);
    one.save(&snapshot).await.unwrap();
    let (mut other, mut taken_over) = load(&broker).await;
    assert_eq!(taken_over, state);
    change(&mut taken_over, 2, 0..3);
    let snapshot = other.take(&mut taken_over);
    other.save(&snapshot).await.unwrap();
    change(&mut state, 3, 0..4);
    let snapshot = one.take(&mut state);
    let error = one.save(&snapshot).await.unwrap_err();
    assert_eq!(TermEnd::of(&error), Some(TermEnd::Replaced), "{error:#}");
    assert_eq!(load(&broker).await.1, taken_over);
    // What was stored already is stored again by no one: an answer that was lost.
    other.revision = None;
    let snapshot = vec![(other.key.clone(), other.kv.get("evm").await.unwrap().unwrap().value)];
    other.save(&snapshot).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_the_version_before_is_taken_over() {
    let broker = broker().await;
    let (store, _) = load(&broker).await;
    let old = serde_json::json!({
        "version": 2,
        "position": { "sequence": 7, "stored_at_us": 70 },
        "stream_time_us": 71,
        "tick_us": 69,
        "groups": { "large": { "a": { "openers": [], "collected": {} } } },
        "chains": {},
    });
    store.kv.put("evm", rmp_serde::to_vec_named(&old).unwrap()).await.unwrap();
    let (mut store, mut state) = load(&broker).await;
    assert_eq!((state.position.sequence, state.stream_time_us, state.tick_us), (7, 71, 69));
    assert!(state.groups.get("large", "a").is_some());
    let snapshot = store.take(&mut state);
    store.save(&snapshot).await.unwrap();
    assert_eq!(load(&broker).await.1, state, "and stored in the new form");
}
