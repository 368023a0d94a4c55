//! Two producers of one chain: one publishes, the other follows, and the stream is never forked.

use std::time::{Duration, Instant};

use crypto_intel_nats::LEASE_SECONDS;

use crate::{
    growth::Pace,
    harness::{start_evm, start_evm_as},
    process::start,
    scenario::{Scenario, pass},
};

/// Time for the lease to expire and the other instance to notice, resume and publish, on a loaded machine.
const TAKEOVER: Duration = Duration::from_secs(LEASE_SECONDS + 15);

async fn taken_over(scenario: &Scenario) {
    let started = Instant::now();
    scenario.goes_on().await;
    assert!(started.elapsed() < TAKEOVER, "taken over after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_and_the_leader_killed() {
    let mut scenario = Scenario::start(501, 1, Pace::RESTLESS).await;
    let nats_url = scenario.broker.server.url();
    let mut leader = start(&nats_url, &scenario.urls(), "first");
    scenario.goes_on().await;
    for name in ["second", "third"] {
        let follower = start(&nats_url, &scenario.urls(), name);
        scenario.goes_on().await;
        leader.kill();
        taken_over(&scenario).await;
        leader = follower;
    }
    scenario.ends_exact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_and_the_leader_stopped_and_woken() {
    let mut scenario = Scenario::start(502, 1, Pace::RESTLESS).await;
    let nats_url = scenario.broker.server.url();
    let mut leader = start(&nats_url, &scenario.urls(), "first");
    scenario.goes_on().await;
    let mut follower = start(&nats_url, &scenario.urls(), "second");
    for _ in 0..3 {
        scenario.goes_on().await;
        leader.pause();
        taken_over(&scenario).await;
        // It resumes in the middle of its work, still believing that it leads.
        leader.wake();
        scenario.goes_on().await;
        pass(Duration::from_secs(2)).await;
        std::mem::swap(&mut leader, &mut follower);
    }
    scenario.ends_exact().await;
    assert!(!leader.has_ended() && !follower.has_ended());
}

/// Batches that the previous instance left in flight are stored while the next one reads the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handed_over_again_and_again_in_the_middle_of_batches() {
    let pace = Pace { interval: Duration::from_millis(10), reorg_every: 40 };
    let mut scenario = Scenario::start(503, 1, pace).await;
    for round in 0..40_u64 {
        let name = format!("instance-{round}");
        let producer = start_evm_as(&name, &scenario.broker.nats, scenario.config());
        if round % 4 == 0 {
            // Not up to the head: on a loaded machine the chain grows faster than a new instance publishes.
            scenario.publishes().await;
        }
        pass(Duration::from_millis(40 + 7 * (round % 13))).await;
        producer.stop().await;
    }
    let producer = start_evm(&scenario.broker.nats, scenario.config());
    scenario.ends_exact().await;
    producer.stop().await;
}
