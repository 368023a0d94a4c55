//! The producer as a separate process that can be killed and stopped: this test binary, running only [`producer`].

use crypto_intel_testkit::{SeededRandom, TestProcess, connect_to, end_with_parent};

use crate::{
    growth::Pace,
    harness::{chain_config, start_evm_as},
    scenario::Scenario,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the producer process of the other tests"]
async fn producer() {
    let (Ok(nats_url), Ok(node_urls), Ok(instance)) =
        (std::env::var(NATS_URL), std::env::var(NODE_URLS), std::env::var(INSTANCE))
    else {
        return;
    };
    end_with_parent();
    let nats = connect_to(nats_url, &instance).await;
    let urls: Vec<String> = node_urls.split(' ').map(str::to_owned).collect();
    let _producer = start_evm_as(&instance, &nats, chain_config(&urls));
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_at_random_moments() {
    let mut random = SeededRandom::from_environment();
    let mut scenario = Scenario::start(401, 1, Pace::RESTLESS).await;
    let nats_url = scenario.broker.server.url();
    for round in 0..KILLS {
        let mut process = start(&nats_url, &scenario.urls(), &format!("killed-{round}"));
        // The lease of a killed process has to expire first, so some are killed while they wait for it.
        random.pause_ms(300..9_000).await;
        assert!(!process.has_ended(), "it ended by itself in round {round}");
        process.kill();
    }
    let process = start(&nats_url, &scenario.urls(), "last");
    scenario.goes_on().await;
    scenario.ends_exact().await;
    drop(process);
}
