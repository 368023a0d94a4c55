//! The producer as a process of its own, to be killed and stopped: this test binary again, running
//! nothing but [`producer`].

use crypto_intel_nats::{NatsConfig, connect};
use crypto_intel_testkit::{SeededRandom, TestProcess, end_with_parent};
use tokio_util::sync::CancellationToken;

use crate::{
    growth::Pace,
    harness::{Producer, chain_config},
    world::{World, pass},
};

const NATS_URL: &str = "CRYPTO_INTEL_FAULTS_NATS";
const NODE_URLS: &str = "CRYPTO_INTEL_FAULTS_NODES";
const INSTANCE: &str = "CRYPTO_INTEL_FAULTS_INSTANCE";
const KILLS: usize = 8;

/// A producer process; killed when dropped.
pub(crate) fn start(nats_url: &str, node_urls: &[String], instance: &str) -> TestProcess {
    let environment =
        [(NATS_URL, nats_url), (NODE_URLS, &node_urls.join(" ")), (INSTANCE, instance)];
    TestProcess::start("process::producer", &environment)
}

#[test]
#[ignore = "the producer process of the other tests"]
fn producer() {
    let (Ok(nats_url), Ok(node_urls), Ok(instance)) =
        (std::env::var(NATS_URL), std::env::var(NODE_URLS), std::env::var(INSTANCE))
    else {
        return;
    };
    end_with_parent();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let config =
            NatsConfig { url: nats_url.into(), request_timeout_ms: 3_000, ..NatsConfig::default() };
        let nats = connect(&config, &instance, &CancellationToken::new()).await.unwrap();
        let urls: Vec<String> = node_urls.split(' ').map(str::to_owned).collect();
        let _producer = Producer::start_named(&nats, chain_config(&urls), &instance);
        std::future::pending::<()>().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_at_random_moments() {
    let mut random = SeededRandom::from_environment();
    let mut world = World::start(401, 1, Pace::RESTLESS).await;
    let nats_url = world.broker.server.url();
    for round in 0..KILLS {
        let mut process = start(&nats_url, &world.urls(), &format!("killed-{round}"));
        // A killed one's lease has to run out first, so some die while they wait for it.
        pass(random_ms(&mut random, 300, 9_000)).await;
        assert!(!process.has_ended(), "it ended by itself in round {round}");
        process.kill();
    }
    let process = start(&nats_url, &world.urls(), "last");
    world.goes_on().await;
    world.ends_exact().await;
    drop(process);
}

pub(crate) fn random_ms(random: &mut SeededRandom, from: u64, to: u64) -> std::time::Duration {
    std::time::Duration::from_millis(rand::RngExt::random_range(&mut **random, from..to))
}
