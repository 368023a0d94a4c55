//! Two producers of one chain: one publishes, the other follows, and the stream is never forked.

use std::time::{Duration, Instant};

use crypto_intel_nats::LEASE_SECONDS;

use crate::{
    growth::Pace,
    harness::Producer,
    process::start,
    world::{World, pass},
};

/// The lease runs out, the other one sees it, resumes and publishes; on a loaded machine.
const TAKEOVER: Duration = Duration::from_secs(LEASE_SECONDS + 15);

async fn taken_over(world: &World) {
    let started = Instant::now();
    world.goes_on().await;
    assert!(started.elapsed() < TAKEOVER, "taken over after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_and_the_leader_killed() {
    let mut world = World::start(501, 1, Pace::RESTLESS).await;
    let nats_url = world.broker.server.url();
    let mut leader = start(&nats_url, &world.urls(), "first");
    world.goes_on().await;
    for name in ["second", "third"] {
        let follower = start(&nats_url, &world.urls(), name);
        world.goes_on().await;
        leader.kill();
        taken_over(&world).await;
        leader = follower;
    }
    world.ends_exact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_producers_and_the_leader_stopped_and_woken() {
    let mut world = World::start(502, 1, Pace::RESTLESS).await;
    let nats_url = world.broker.server.url();
    let mut leader = start(&nats_url, &world.urls(), "first");
    world.goes_on().await;
    let mut follower = start(&nats_url, &world.urls(), "second");
    for _ in 0..3 {
        world.goes_on().await;
        leader.pause();
        taken_over(&world).await;
        // It wakes in the middle of what it was doing, sure that it leads.
        leader.wake();
        world.goes_on().await;
        pass(Duration::from_secs(2)).await;
        std::mem::swap(&mut leader, &mut follower);
    }
    world.ends_exact().await;
    assert!(!leader.has_ended() && !follower.has_ended());
}

/// What the one before left on its way lands while the next one reads the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handed_over_again_and_again_in_the_middle_of_batches() {
    let pace = Pace { interval: Duration::from_millis(10), reorg_every: 40 };
    let mut world = World::start(503, 1, pace).await;
    for round in 0..40_u64 {
        let name = format!("instance-{round}");
        let producer = Producer::start_named(&world.broker.nats, world.config(), &name);
        if round % 4 == 0 {
            world.goes_on().await;
        }
        pass(Duration::from_millis(40 + 7 * (round % 13))).await;
        producer.stop().await;
    }
    let producer = Producer::start(&world.broker.nats, world.config());
    world.ends_exact().await;
    producer.stop().await;
}
