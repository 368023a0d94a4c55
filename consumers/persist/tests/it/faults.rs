use crypto_intel_testkit::{SeededRandom, eventually, small_topology};
use rand::RngExt as _;

use crate::{chain::Chain, harness::Servers};

/// Grows the chain, and now and then reorganises it.
pub(crate) async fn play_on(
    servers: &Servers,
    chain: &mut Chain,
    random: &mut SeededRandom,
    rounds: usize,
) {
    for _ in 0..rounds {
        if chain.height() > 4 && random.random_bool(0.1) {
            let depth = random.random_range(1..=3);
            for batch in chain.reorganise(depth, 10) {
                chain.publish(&servers.nats, &batch).await;
            }
        } else {
            let transfers = random.random_range(1..60);
            chain.play(&servers.nats, 1, transfers).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_postgresql_dies() {
    let mut servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    for _ in 0..5 {
        play_on(&servers, &mut chain, &mut random, 30).await;
        match servers.database.server() {
            Some(server) => server.kill().unwrap(),
            // On a shared server only our connections are cut.
            None => {
                servers
                    .query(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                    )
                    .await;
            }
        }
        play_on(&servers, &mut chain, &mut random, 10).await;
        if let Some(server) = servers.database.server() {
            eventually(async || !persist.is_ready()).await;
            server.start_again().await.unwrap();
        }
        eventually(async || persist.is_ready()).await;
    }
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_nats_dies() {
    let mut servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    for _ in 0..2 {
        play_on(&servers, &mut chain, &mut random, 20).await;
        servers.broker.kill().unwrap();
        servers.broker.start_again().await.unwrap();
        eventually(async || servers.nats.stream_state("EVM").await).await;
    }
    play_on(&servers, &mut chain, &mut random, 10).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_persist_dies_again_and_again() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let mut chain = Chain::new("base");
    for round in 0..8 {
        let persist = servers.persist(&format!("instance{round}")).await;
        let lines = random.random_range(1..20);
        play_on(&servers, &mut chain, &mut random, lines).await;
        servers.applied_or_idle(&persist, random.random_range(0..200)).await;
        persist.kill().await;
    }
    let persist = servers.persist("last").await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_store_every_event_once_and_one_takes_over() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let (first, second) = (servers.persist("first").await, servers.persist("second").await);
    let mut chain = Chain::new("base");
    play_on(&servers, &mut chain, &mut random, 30).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    eventually(async || first.is_ready() && second.is_ready()).await;
    let applied = [
        first.metric("crypto_intel_persist_applied_total", &[]),
        second.metric("crypto_intel_persist_applied_total", &[]),
    ];
    assert!(applied.contains(&0.0), "one stands by: {applied:?}");

    let (active, standby) = if applied[0] > 0.0 { (first, second) } else { (second, first) };
    active.kill().await;
    play_on(&servers, &mut chain, &mut random, 10).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert!(standby.metric("crypto_intel_persist_applied_total", &[]) > 0.0);
    standby.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_without_a_lease_between_them_store_every_event_once() {
    let servers = Servers::start().await;
    let mut random = SeededRandom::from_environment();
    let (first, second) = (servers.persist("first").await, servers.persist("second").await);
    let mut chain = Chain::new("base");
    let leases = servers.nats.kv(crypto_intel_nats::Bucket::Leases).await.unwrap();
    let lost = || {
        first.metric("crypto_intel_persist_fence_lost_total", &[])
            + second.metric("crypto_intel_persist_fence_lost_total", &[])
    };
    // Until one of them has met what the other had written.
    for round in 0..60 {
        play_on(&servers, &mut chain, &mut random, 10).await;
        if round >= 6 && lost() > 0.0 {
            break;
        }
        // The standby takes it before its holder knows.
        leases.delete("persist.EVM").await.unwrap();
    }
    assert!(lost() > 0.0, "no two writers met");
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recreated_stream_brings_no_row_twice() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    let mut batches = Vec::new();
    for _ in 0..10 {
        let events = chain.grow(5);
        chain.publish(&servers.nats, &events).await;
        batches.push(events);
    }
    servers.settled("EVM").await;
    servers.nats.jetstream().delete_stream("EVM").await.unwrap();
    small_topology().apply(&servers.nats, false).await.unwrap();
    for events in &batches[4..] {
        chain.publish(&servers.nats, events).await;
    }
    chain.play(&servers.nats, 3, 5).await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    assert_eq!(persist.metric("crypto_intel_persist_stream_resets_total", &[]), 1.0);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_that_the_stream_dropped_is_reported() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 2, 5).await;
    servers.settled("EVM").await;
    persist.stop().await;
    chain.play(&servers.nats, 2, 5).await;
    let mut stream = servers.nats.jetstream().get_stream("EVM").await.unwrap();
    let last = stream.info().await.unwrap().state.last_sequence;
    stream.purge().sequence(last + 1).await.unwrap();
    chain.play(&servers.nats, 2, 5).await;
    let persist = servers.persist("two").await;
    servers.settled("EVM").await;
    assert_eq!(persist.metric("crypto_intel_persist_lost_ranges_total", &[]), 1.0);
    assert_eq!(servers.number("SELECT count(*) FROM blocks").await, 4);
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_tables_is_waited_for() {
    let servers = Servers::start().await;
    servers.query("ALTER TABLE logs RENAME TO logs_away").await;
    let persist = servers.persist("one").await;
    let mut chain = Chain::new("base");
    chain.play(&servers.nats, 2, 5).await;
    eventually(async || persist.is_unhealthy_for("crypto-intel migrate")).await;
    servers.query("ALTER TABLE logs_away RENAME TO logs").await;
    servers.settled("EVM").await;
    servers.assert_stored(&[&chain]).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_streams_are_ready_again_once_nats_is_back() {
    let mut servers = Servers::start().await;
    let persist = servers.persist("one").await;
    eventually(async || persist.is_ready()).await;
    servers.broker.kill().unwrap();
    // No instance can lead meanwhile: the reason is no longer just the reader's "not connected".
    eventually(async || persist.is_unhealthy_for("cannot lead")).await;
    servers.broker.start_again().await.unwrap();
    // Nothing is published: no stream has a message to store.
    eventually(async || persist.is_ready()).await;
    persist.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_stream_is_reported_until_it_exists_again() {
    let servers = Servers::start().await;
    let persist = servers.persist("one").await;
    eventually(async || persist.is_ready()).await;
    servers.nats.jetstream().delete_stream("SIGNALS").await.unwrap();
    eventually(async || persist.is_unhealthy_for("no stream SIGNALS: run `crypto-intel streams"))
        .await;
    assert!(!persist.is_ready());
    small_topology().apply(&servers.nats, false).await.unwrap();
    eventually(async || persist.is_ready()).await;
    persist.stop().await;
}
