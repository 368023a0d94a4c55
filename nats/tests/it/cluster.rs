//! Three servers that hold every stream together.

use std::time::Instant;

use crypto_intel_nats::{Nats, Notice, ReaderOptions, Start, StreamReader, TopologyConfig};
use crypto_intel_sandbox::{NatsCluster, NatsOptions};
use crypto_intel_testkit::{connect_to, eventually, small_topology, within};

use crate::messages::block;

async fn cluster() -> (NatsCluster, Nats) {
    let cluster = NatsCluster::start(NatsOptions::default()).await.unwrap();
    let nats = connect_to(cluster.url(), "test").await;
    let replicas = TopologyConfig { replicas: Some(3), ..TopologyConfig::default() };
    let topology = small_topology().with_config(&replicas).unwrap();
    // Servers that have just connected to each other may count as offline for a moment.
    eventually(async || topology.apply(&nats, false).await.is_ok()).await;
    (cluster, nats)
}

#[tokio::test]
async fn the_leader_holds_all_that_was_acknowledged() {
    let (cluster, nats) = cluster().await;
    let follower = (cluster.leader_of("EVM").await.unwrap() + 1) % cluster.len();
    let beside = connect_to(cluster.server(follower).url(), "test").await;
    let mut last = 0;
    for _ in 0..150 {
        let ack = nats.publish_batch(block("evm.anvil.log", 21, Some(last))).await.unwrap();
        last = ack.last_sequence;
        for nats in [&nats, &beside] {
            let newest = nats.last_from_leader("EVM", "evm.anvil.>").await.unwrap().unwrap();
            assert_eq!(newest.sequence, last);
            let message = nats.get_from_leader("EVM", last).await.unwrap().unwrap();
            assert_eq!(message.payload, "body 20");
            assert_eq!(message.schema.as_deref(), Some("test.kind/1"));
        }
    }
    assert!(nats.last_from_leader("EVM", "evm.other.>").await.unwrap().is_none());
    assert!(nats.get_from_leader("EVM", last + 1).await.unwrap().is_none());
}

/// When another server becomes leader, readers resume at their position: no duplicates, nothing reported as lost.
#[tokio::test]
async fn readers_and_writers_go_on_when_the_leader_is_killed() {
    let (mut cluster, nats) = cluster().await;
    let options = ReaderOptions::new("EVM", "test", Start::First).filters(["evm.anvil.>"]);
    let mut reader = StreamReader::open(&nats, options).await.unwrap();
    let mut last = 0;
    let mut read = Vec::new();
    for round in 0..2 {
        for _ in 0..20 {
            last = publish(&nats, last).await;
        }
        let leader = cluster.leader_of("EVM").await.unwrap();
        cluster.server_mut(leader).kill().unwrap();
        let begun = Instant::now();
        last = publish(&nats, last).await;
        eprintln!("round {round}: published again after {:?}", begun.elapsed());
        while read.last() != Some(&last) {
            let batch = within(reader.next(5_000)).await.unwrap();
            assert_eq!(batch.notices, [] as [Notice; 0]);
            read.extend(batch.messages.iter().map(|message| message.sequence));
        }
        cluster.server_mut(leader).start_again().await.unwrap();
        cluster.until_whole().await.unwrap();
    }
    assert_eq!(read, (1..=last).collect::<Vec<_>>());
}

/// Publishes a batch until it is known to be stored. As a producer does, it looks before each attempt.
async fn publish(nats: &Nats, last: u64) -> u64 {
    let stored = std::sync::atomic::AtomicU64::new(0);
    eventually(async || {
        let newest = nats.last_from_leader("EVM", "evm.anvil.>").await;
        let Ok(newest) = newest else { return false };
        let newest = newest.map_or(0, |newest| newest.sequence);
        if newest > last {
            stored.store(newest, std::sync::atomic::Ordering::Relaxed);
            return true;
        }
        match nats.publish_batch(block("evm.anvil.log", 21, Some(last))).await {
            Ok(ack) => {
                stored.store(ack.last_sequence, std::sync::atomic::Ordering::Relaxed);
                true
            }
            Err(_) => false,
        }
    })
    .await;
    stored.into_inner()
}
