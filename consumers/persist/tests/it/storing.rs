use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{
    Alert, Decimal, Delivery, Event, Index, Kind, NodeStatus, Price, Tick, samples, subjects,
};

use crate::{chain::Chain, harness::Servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_every_event_of_several_chains_once() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let (mut base, mut polygon) = (Chain::new("base"), Chain::new("polygon"));
    for _ in 0..20 {
        base.play(&servers.nats, 1, 30).await;
        polygon.play(&servers.nats, 2, 3).await;
    }
    servers.settled("EVM").await;
    servers.assert_stored(&[&base, &polygon]).await;
    assert_eq!(
        persist.metric("crypto_intel_persist_merged_batches_total", &[]),
        0.0,
        "nothing was there before"
    );
    assert!(persist.metric("crypto_intel_persist_head_to_row_seconds", &[]) >= 60.0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_what_other_streams_carry() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let events = [
        Event::from(Price {
            id: "p:price:bitcoin:1".into(),
            asset: "bitcoin".into(),
            price: Decimal::parse("64000.5").unwrap(),
            ..Price::at("p", 1_700_000_000_000_000, 1)
        }),
        Event::from(Tick { stream: "market".into(), ..Tick::at("alerts", 1, 1) }),
        Event::from(Index {
            index: "fear-greed".into(),
            value: Decimal::parse("20").unwrap(),
            ..Index::at("alternative.me", 1_700_000_000_000_000, 1)
        }),
        Event::from(NodeStatus {
            id: "n".into(),
            chain: "base".into(),
            endpoint: "node.example".into(),
            ..NodeStatus::empty()
        }),
        Event::from(Alert {
            id: "a".into(),
            alert: "k".into(),
            rule: "r".into(),
            ..Alert::empty()
        }),
        Event::from(Delivery {
            id: "d".into(),
            destination: "ops".into(),
            alert: "k".into(),
            ..Delivery::empty()
        }),
        samples::sample(Kind::Audit),
    ];
    for event in &events {
        let message = OutMessage::new(subjects::of(event), event.encode());
        servers.nats.publish(message).await.unwrap();
    }
    // The same price again, as after a lost acknowledgement.
    let again = OutMessage::new(subjects::of(&events[0]), events[0].encode());
    servers.nats.publish(again).await.unwrap();
    for stream in ["MARKET", "SIGNALS", "STATUS", "ALERT", "NOTIFY", "AUDIT"] {
        servers.settled(stream).await;
    }
    let store = servers.store().await;
    let counts = store.table_counts().await.unwrap();
    let filled: Vec<(&str, u64)> = counts
        .iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(table, rows)| (&**table, *rows))
        .collect();
    let tables = ["market_ticks", "indices", "node_status", "alerts", "deliveries", "audit"];
    assert_eq!(filled, tables.map(|table| (table, 1)));
    assert_eq!(store.last_alerts(5).await.unwrap()[0].deliveries, ["ops: sent"]);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resumes_from_its_position_after_a_stop() {
    let servers = Servers::start().await;
    let mut chain = Chain::new("base");
    for round in 0..3 {
        let persist = servers.persist("one").await;
        chain.play(&servers.nats, 5, 10).await;
        servers.settled("EVM").await;
        assert_eq!(
            persist.metric("crypto_intel_persist_received_total", &[]),
            75.0,
            "round {round} reads what is new"
        );
        persist.stop().await;
    }
    servers.assert_stored(&[&chain]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_the_whole_stream_again_changes_nothing() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 30, 20).await;
    for batch in chain.reorganise(3, 20) {
        chain.publish(&servers.nats, &batch).await;
    }
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    // While persist runs: its next compare-and-set fails, and it restarts from there.
    servers
        .query("UPDATE positions SET sequence = 0, stored_at_us = 0, revision = 0 RETURNING 1")
        .await;
    chain.play(&servers.nats, 1, 20).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(persist.metric("crypto_intel_persist_merged_batches_total", &[]) > 0.0);
    assert_eq!(persist.metric("crypto_intel_persist_fence_lost_total", &[]), 1.0);
    persist.stop().await;
}
