//! A cluster of three servers, each of which fails in its turn, while two producers publish a chain that grows and
//! reorganises.

use std::time::Duration;

use crypto_intel_nats::{Nats, NatsConfig, Topology, TopologyConfig, connect};
use crypto_intel_sandbox::{Chain, NatsCluster, NatsOptions, ScriptedNode};
use crypto_intel_testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::{
    growth::{Growth, Pace},
    harness::{CHAIN, PATIENCE, Producer, chain_config, generator, node_of},
    stream::Replayed,
    world::{assert_exact, pass, published},
};

/// Longer than servers take to see that one of them is gone, and to elect another.
const ELECTION: Duration = Duration::from_secs(11);

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
        Producer::start_named(&nats, chain_config(&[self.node.ws_url()]), instance)
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
    let config = NatsConfig { url, request_timeout_ms: 3_000, ..NatsConfig::default() };
    connect(&config, "evm", &CancellationToken::new()).await.expect("connect")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_server_of_a_cluster_fails_in_its_turn() {
    let mut world = World::start(601, Pace::RESTLESS).await;
    let mut producers = vec![world.producer(0, "first").await, world.producer(1, "second").await];
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
    for producer in producers {
        producer.stop().await;
    }
}

/// What the one before left on its way lands while the next one reads the stream, from whatever replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handed_over_again_and_again_between_the_servers_of_a_cluster() {
    let pace = Pace { interval: Duration::from_millis(10), reorg_every: 40 };
    let mut world = World::start(602, pace).await;
    for round in 0..30_usize {
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
