//! A cluster of three servers, each of which fails in turn, while producers publish a chain that grows and reorganises,
//! and a rule alerts on each of its blocks.

use std::{sync::Arc, time::Duration};

use crypto_intel_alerts::{Engine, RuleStream, load_rules};
use crypto_intel_evm::ChainConfig;
use crypto_intel_nats::{Nats, TopologyConfig};
use crypto_intel_sandbox::{Chain, NatsCluster, NatsOptions, ScriptedNode};
use crypto_intel_schemas::Event;
use crypto_intel_service::prometheus::Registry;
use crypto_intel_testkit::{
    RunningRole, assert_same_set, connect_to, eventually, messages, small_topology,
};
use tempfile::TempDir;

use crate::{
    growth::{Growth, Pace},
    harness::{chain_config, generator, node_of, start_evm_as},
    scenario::{pass, until_exact, until_goes_on},
};

/// Longer than servers take to notice that one of them is gone, and to elect another leader.
const ELECTION: Duration = Duration::from_secs(11);

/// Two alerts for each block.
const RULES: &str = r#"
[[rule]]
id = "paid"
on = "evm.*.transfer.native"
when = 'value > u256("0")'
# The blocks are made up, and so are their times.
max_event_age = "876000h"
severity = "warning"
title = "moved"
routes = ["ops"]
"#;

struct Scenario {
    cluster: NatsCluster,
    nats: Nats,
    chain: Chain,
    node: ScriptedNode,
    growth: Option<Growth>,
}

impl Scenario {
    async fn start(seed: u64, pace: Pace) -> Self {
        let cluster = NatsCluster::start(NatsOptions::default()).await.expect("start cluster");
        let nats = connect_to(cluster.url(), "evm").await;
        let replicas = TopologyConfig { replicas: Some(3), ..TopologyConfig::default() };
        let topology = small_topology().with_config(&replicas).unwrap();
        // Servers that have just found each other may count as offline for a moment.
        eventually(async || topology.apply(&nats, false).await.ok()).await;
        let chain = Chain::new();
        chain.follow_finality(15, 30);
        let node = node_of(chain.clone()).await;
        let growth = Some(Growth::start(&chain, generator(seed), pace));
        Self { cluster, nats, chain, node, growth }
    }

    /// A producer that first connects to one of the servers; it may move to any other.
    async fn producer(&self, server: usize, instance: &str) -> RunningRole {
        let nats = connect_to(self.cluster.server(server).url(), "evm").await;
        // No jumps: however slow the machine is, everything is published in order.
        let config = ChainConfig { catch_up_blocks: 0, ..chain_config(&[self.node.ws_url()]) };
        start_evm_as(instance, &nats, config)
    }

    async fn goes_on(&self) {
        until_goes_on(&self.nats, &self.chain).await;
    }

    /// Two instances of alerts, each of which first connects to its own server.
    async fn alerts(&self, rules: &TempDir) -> Vec<RunningRole> {
        let mut roles = Vec::new();
        for (server, instance) in [(2, "alerts-one"), (1, "alerts-two")] {
            let nats = connect_to(self.cluster.server(server).url(), "alerts").await;
            let config = crypto_intel_alerts::Config {
                rules: vec![rules.path().join("*.toml")],
                ..crypto_intel_alerts::Config::default()
            };
            let run = |context| crypto_intel_alerts::run(config, nats, context);
            roles.push(RunningRole::start(instance, run));
        }
        roles
    }

    /// Asserts that the alerts are exactly those that one pass over the stream gives: nothing else, and nothing twice.
    async fn alerted_once(&self, rules: &TempDir) {
        let rules = [rules.path().join("*.toml")];
        let rules = Arc::new(load_rules(&rules, Some(&["ops".to_owned()])).unwrap());
        let metrics = crypto_intel_alerts::Metrics::new(&Registry::new()).unwrap();
        let mut engine = Engine::new(rules, RuleStream::Evm, &metrics);
        let mut wanted = Vec::new();
        for message in messages(&self.nats, "EVM").await {
            engine.apply(&message, &mut wanted).unwrap();
        }
        assert!(wanted.len() > 50, "{} alerts", wanted.len());
        let told = eventually(async || {
            let told = messages(&self.nats, "ALERT").await;
            (told.len() >= wanted.len()).then_some(told)
        })
        .await;
        let told = told.iter().map(|message| match Event::decode(&message.payload) {
            Ok(Event::Alert(alert)) => format!("{} {:?}", alert.id, alert.state),
            other => panic!("no alert: {other:?}"),
        });
        assert_same_set(wanted.iter().map(|alert| format!("{} {:?}", alert.id, alert.state)), told);
    }

    async fn ends_exact(&mut self) {
        let mut blocks = self.growth.take().unwrap().stop().await;
        self.chain.push_block(blocks.next_block()).unwrap();
        until_exact(&self.nats, &self.chain).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_of_a_cluster_fails_in_its_turn() {
    let mut scenario = Scenario::start(601, Pace::RESTLESS).await;
    let mut producers =
        vec![scenario.producer(0, "first").await, scenario.producer(1, "second").await];
    let rules = tempfile::tempdir().unwrap();
    std::fs::write(rules.path().join("test.toml"), RULES).unwrap();
    let alerts = scenario.alerts(&rules).await;
    scenario.goes_on().await;

    // The leader is killed, and comes back.
    let leader = scenario.cluster.leader_of("EVM").await.unwrap();
    scenario.cluster.server_mut(leader).kill().unwrap();
    scenario.goes_on().await;
    scenario.cluster.server_mut(leader).start_again().await.unwrap();
    scenario.cluster.until_whole().await.unwrap();

    // A follower is paused, falls behind, and resumes with stale state.
    let follower = (scenario.cluster.leader_of("EVM").await.unwrap() + 1) % scenario.cluster.len();
    scenario.cluster.server_mut(follower).pause().unwrap();
    scenario.goes_on().await;
    pass(Duration::from_secs(3)).await;
    scenario.cluster.server_mut(follower).resume().unwrap();
    scenario.goes_on().await;

    // The leader is cut off from the other two: they continue without it, it cannot continue alone.
    let leader = scenario.cluster.leader_of("EVM").await.unwrap();
    let other = (leader + 1) % scenario.cluster.len();
    // Clients that are connected to it stay connected, and receive nothing.
    scenario.nats = connect_to(scenario.cluster.server(other).url(), "evm").await;
    producers.push(scenario.producer(other, "third").await);
    scenario.cluster.cut_off(leader);
    pass(ELECTION).await;
    scenario.goes_on().await;
    scenario.cluster.reconnect(leader);
    scenario.cluster.until_whole().await.unwrap();
    scenario.goes_on().await;

    // A rolling restart, one server after the other.
    for index in 0..scenario.cluster.len() {
        scenario.cluster.server_mut(index).stop().await.unwrap();
        scenario.cluster.server_mut(index).start_again().await.unwrap();
        scenario.cluster.until_whole().await.unwrap();
        scenario.goes_on().await;
    }
    scenario.ends_exact().await;
    scenario.alerted_once(&rules).await;
    for producer in producers {
        producer.stop().await;
    }
    for role in alerts {
        role.stop().await;
    }
}

/// Batches that the previous instance left in flight are stored while the next one reads the stream, from any replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handed_over_again_and_again_between_the_servers_of_a_cluster() {
    let pace = Pace { interval: Duration::from_millis(40), reorg_every: 40 };
    let mut scenario = Scenario::start(602, pace).await;
    for round in 0..20_usize {
        let server = round % scenario.cluster.len();
        let producer = scenario.producer(server, &format!("instance-{round}")).await;
        if round % 4 == 0 {
            scenario.goes_on().await;
        }
        pass(Duration::from_millis(80 + 7 * (round as u64 % 13))).await;
        producer.stop().await;
    }
    let producer = scenario.producer(0, "last").await;
    scenario.ends_exact().await;
    producer.stop().await;
}
