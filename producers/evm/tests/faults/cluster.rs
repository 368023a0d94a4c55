//! A cluster of three servers, each of which fails in its turn, while producers publish a chain that grows and
//! reorganises, and a rule tells of each of its blocks.

use std::{sync::Arc, time::Duration};

use crypto_intel_alerts::{Engine, SourceStream, load_rules};

use crypto_intel_evm::ChainConfig;
use crypto_intel_nats::{
    Nats, NatsConfig, ReaderOptions, Start, StreamMessage, StreamReader, Topology, TopologyConfig,
    connect,
};
use crypto_intel_sandbox::{Chain, NatsCluster, NatsOptions, ScriptedNode};
use crypto_intel_schemas::Event;
use crypto_intel_service::{Context, prometheus::Registry};
use crypto_intel_testkit::{assert_same_set, eventually};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    growth::{Growth, Pace},
    harness::{CHAIN, PATIENCE, Producer, chain_config, generator, node_of},
    stream::Replayed,
    world::{assert_exact, pass, published},
};

/// Longer than servers take to see that one of them is gone, and to elect another.
const ELECTION: Duration = Duration::from_secs(11);

/// Two of each block.
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

struct World {
    cluster: NatsCluster,
    nats: Nats,
    chain: Chain,
    node: ScriptedNode,
    growth: Option<Growth>,
}

impl World {
    async fn start(seed: u64, pace: Pace) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(
                std::env::var("RUST_LOG").unwrap_or_else(|_| "info,alloy_pubsub=off".into()),
            )
            .with_test_writer()
            .try_init();
        let cluster = NatsCluster::start(NatsOptions::default()).await.expect("start cluster");
        let nats = client(cluster.url()).await;
        let replicas = TopologyConfig { replicas: Some(3), ..TopologyConfig::default() };
        let topology = Topology::embedded().unwrap().with_config(&replicas).unwrap();
        // Servers that have just found each other may count as away for a moment.
        eventually(PATIENCE, async || topology.apply(&nats, false).await.ok()).await;
        let chain = Chain::new();
        chain.follow_finality(15, 30);
        let node = node_of(chain.clone()).await;
        let growth = Some(Growth::start(&chain, generator(seed), pace));
        Self { cluster, nats, chain, node, growth }
    }

    /// A producer whose connection begins at one of the servers; it may go to any other.
    async fn producer(&self, server: usize, instance: &str) -> Producer {
        let nats = client(self.cluster.server(server).url()).await;
        // However slow the machine is, all of it is published in order.
        let config = ChainConfig { catch_up_blocks: 0, ..chain_config(&[self.node.ws_url()]) };
        Producer::start_named(&nats, config, instance)
    }

    /// Waits until the stream goes on: some block above all that the chain has now.
    async fn goes_on(&self) {
        let height = self.chain.head().map_or(0, |head| head.number);
        eventually(2 * PATIENCE, async || {
            published(&self.nats)
                .await
                .is_some_and(|(number, _, removed)| number > height && !removed)
        })
        .await;
    }

    /// Two instances of the rules' evaluator, each beginning at a server of its own.
    async fn alerts(&self, rules: &TempDir) -> Vec<(Context, JoinHandle<anyhow::Result<()>>)> {
        let mut roles = Vec::new();
        for (server, instance) in [(2, "alerts-one"), (1, "alerts-two")] {
            let nats = client(self.cluster.server(server).url()).await;
            let config = crypto_intel_alerts::Config {
                rules: vec![rules.path().join("*.toml")],
                ..crypto_intel_alerts::Config::default()
            };
            let context = Context::new(instance);
            roles.push((
                context.clone(),
                tokio::spawn(crypto_intel_alerts::run(config, nats, context)),
            ));
        }
        roles
    }

    /// What was alerted is what the stream, read once from its beginning, gives: nothing else, and nothing twice.
    async fn alerted_once(&self, rules: &TempDir) {
        let rules = [rules.path().join("*.toml")];
        let rules = Arc::new(load_rules(&rules, &["ops".to_owned()]).unwrap());
        let metrics = crypto_intel_alerts::Metrics::new(&Registry::new()).unwrap();
        let mut engine = Engine::new(rules, SourceStream::Evm, &metrics);
        let mut wanted = Vec::new();
        for message in self.all("EVM").await {
            engine.apply(&message, &mut wanted).unwrap();
        }
        assert!(wanted.len() > 50, "{} alerts", wanted.len());
        let told = eventually(PATIENCE, async || {
            let told = self.all("ALERT").await;
            (told.len() >= wanted.len()).then_some(told)
        })
        .await;
        let told = told.iter().map(|message| match Event::decode(&message.payload) {
            Ok(Event::Alert(alert)) => format!("{} {:?}", alert.id, alert.state),
            other => panic!("no alert: {other:?}"),
        });
        assert_same_set(wanted.iter().map(|alert| format!("{} {:?}", alert.id, alert.state)), told);
    }

    /// Everything that a stream holds.
    async fn all(&self, stream: &str) -> Vec<StreamMessage> {
        let last = self.nats.stream_state(stream).await.unwrap().last_sequence;
        let options = ReaderOptions::new(stream, "look", Start::First);
        let mut reader = StreamReader::open(&self.nats, options).await.unwrap();
        let mut messages = Vec::new();
        while messages.last().map_or(0, |message: &StreamMessage| message.sequence) < last {
            messages.extend(reader.next(5_000).await.unwrap().messages);
        }
        messages
    }

    async fn ends_exact(&mut self) {
        let mut blocks = self.growth.take().unwrap().stop().await;
        self.chain.push_block(blocks.next_block()).unwrap();
        let head = self.chain.head().unwrap();
        let wanted = Some((head.number, head.hash, false));
        eventually(2 * PATIENCE, async || published(&self.nats).await == wanted).await;
        let replayed = Replayed::of(&self.nats, CHAIN).await;
        assert_exact(&self.chain.blocks(), &replayed);
        assert_eq!(replayed.numbers().first(), Some(&1), "from the first block");
    }
}

async fn client(url: String) -> Nats {
    let config = NatsConfig { url: url.into(), request_timeout_ms: 3_000, ..NatsConfig::default() };
    connect(&config, "evm", &CancellationToken::new()).await.expect("connect")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_of_a_cluster_fails_in_its_turn() {
    let mut world = World::start(601, Pace::RESTLESS).await;
    let mut producers = vec![world.producer(0, "first").await, world.producer(1, "second").await];
    let rules = tempfile::tempdir().unwrap();
    std::fs::write(rules.path().join("test.toml"), RULES).unwrap();
    let alerts = world.alerts(&rules).await;
    world.goes_on().await;

    // The leader is killed, and comes back.
    let leader = world.cluster.leader_of("EVM").await.unwrap();
    world.cluster.server_mut(leader).kill().unwrap();
    world.goes_on().await;
    world.cluster.server_mut(leader).start_again().await.unwrap();
    world.cluster.until_whole().await.unwrap();

    // A follower stands still, is passed by, and wakes with what it knew then.
    let follower = (world.cluster.leader_of("EVM").await.unwrap() + 1) % world.cluster.len();
    world.cluster.server_mut(follower).pause().unwrap();
    world.goes_on().await;
    pass(Duration::from_secs(3)).await;
    world.cluster.server_mut(follower).resume().unwrap();
    world.goes_on().await;

    // The leader is cut off from the other two: they go on without it, it cannot.
    let leader = world.cluster.leader_of("EVM").await.unwrap();
    let other = (leader + 1) % world.cluster.len();
    // Whoever is connected to it stays there, and learns nothing.
    world.nats = client(world.cluster.server(other).url()).await;
    producers.push(world.producer(other, "third").await);
    world.cluster.cut_off(leader);
    pass(ELECTION).await;
    world.goes_on().await;
    world.cluster.reconnect(leader);
    world.cluster.until_whole().await.unwrap();
    world.goes_on().await;

    // A new version is brought up, one server after the other.
    for index in 0..world.cluster.len() {
        world.cluster.server_mut(index).stop().await.unwrap();
        world.cluster.server_mut(index).start_again().await.unwrap();
        world.cluster.until_whole().await.unwrap();
        world.goes_on().await;
    }
    world.ends_exact().await;
    world.alerted_once(&rules).await;
    for producer in producers {
        producer.stop().await;
    }
    for (context, task) in alerts {
        context.shutdown.cancel();
        task.await.unwrap().unwrap();
    }
}

/// What the one before left on its way lands while the next one reads the stream, from whatever replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handed_over_again_and_again_between_the_servers_of_a_cluster() {
    let pace = Pace { interval: Duration::from_millis(40), reorg_every: 40 };
    let mut world = World::start(602, pace).await;
    for round in 0..20_usize {
        let server = round % world.cluster.len();
        let producer = world.producer(server, &format!("instance-{round}")).await;
        if round % 4 == 0 {
            world.goes_on().await;
        }
        pass(Duration::from_millis(80 + 7 * (round as u64 % 13))).await;
        producer.stop().await;
    }
    let producer = world.producer(0, "last").await;
    world.ends_exact().await;
    producer.stop().await;
}
