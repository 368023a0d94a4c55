//! Conditions that last, over the real streams.

use std::collections::BTreeMap;

use crypto_intel_nats::{Bucket, Position};
use crypto_intel_schemas::{Alert, AlertState};
use crypto_intel_testkit::eventually;
use serde::Deserialize;

use crate::harness::{Servers, block, hash};

const RULES: &str = r#"
[[rule]]
id = "busy"
on = "evm.*.transfer.erc20"
trigger = "window"
group_by = ["chain"]
title = "{{ count }} transfers, {{ sum }} in all"
resolved_title = "{{ chain }} is calm"
[rule.window]
over = "6s"
every = "1s"
of = "value"
having = "sum >= 300.0"
"#;

/// How far a stored state is.
#[derive(Deserialize)]
struct Head {
    position: Position,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_is_told_and_ended_once_by_whichever_instance_is_active() {
    let servers = Servers::with_rules(RULES).await;
    let first = servers.alerts("first");
    first.until_healthy("alerts.evm").await;
    let transfers: Vec<_> = (0..2).map(|number| (hash(1, number), 100)).collect();
    servers.broker.publish(block(1, hash(2, 1), 1, &transfers)).await;
    // What the first block added is known to the next instance from the state alone: the stream has lost it.
    let marker = servers.broker.messages("EVM").await;
    let marker = marker.iter().rfind(|message| message.subject == "evm.anvil.block").unwrap();
    let states = servers.broker.nats.kv(Bucket::RuleState).await.unwrap();
    eventually(async || {
        let stored = states.get("evm").await.unwrap()?;
        let head: Head = rmp_serde::from_slice(&stored.value).unwrap();
        (head.position.sequence >= marker.sequence).then_some(())
    })
    .await;
    servers.kill(first).await;
    let stream = servers.broker.nats.jetstream().get_stream("EVM").await.unwrap();
    stream.purge().sequence(marker.sequence + 1).await.unwrap();
    let second = servers.alerts("second");
    servers.broker.publish(block(2, hash(2, 2), 1, &[(hash(1, 9), 100)])).await;
    let told = servers.published_when(1).await;
    assert_eq!((told[0].title.as_str(), told[0].ongoing), ("3 transfers, 300 in all", true));
    servers.kill(second).await;
    let third = servers.alerts("third");
    let told: Vec<Alert> = eventually(async || {
        let told = servers.published().await;
        told.iter().any(|alert| alert.state == AlertState::Resolved).then_some(told)
    })
    .await;
    let by_state: BTreeMap<&str, &str> =
        told.iter().map(|alert| (alert.state.as_str(), alert.title.as_str())).collect();
    let expected =
        BTreeMap::from([("fired", "3 transfers, 300 in all"), ("resolved", "anvil is calm")]);
    assert_eq!((told.len(), by_state), (2, expected));
    assert!(told.iter().all(|alert| alert.alert == told[0].alert), "one key: {told:?}");
    third.stop().await;
}
