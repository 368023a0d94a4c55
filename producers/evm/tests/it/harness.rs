//! A nats-server with our streams, a scripted node, and the producer between them.

use std::{collections::BTreeMap, time::Duration};

use crypto_intel_evm::{ChainConfig, Config, EndpointConfig, Start};
use crypto_intel_nats::{Nats, NatsConfig, Topology, connect};
use crypto_intel_sandbox::{
    Chain, NatsOptions, NatsServer, NodeBlock, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_service::Context;
use crypto_intel_testkit::eventually;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stream::Replayed;

pub(crate) const CHAIN: &str = "testchain";
pub(crate) const CHAIN_ID: u64 = 31_337;
/// Machines under load are slow; what is waited for comes long before.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Broker {
    pub(crate) server: NatsServer,
    pub(crate) nats: Nats,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    pub(crate) async fn start_with(options: NatsOptions) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(
                std::env::var("RUST_LOG").unwrap_or_else(|_| "info,alloy_pubsub=off".into()),
            )
            .with_test_writer()
            .try_init();
        let server = NatsServer::start(options).await.expect("start nats-server");
        let nats = Self::connect(&server).await;
        Topology::embedded().unwrap().apply(&nats, false).await.expect("apply streams");
        Self { server, nats }
    }

    pub(crate) async fn connect(server: &NatsServer) -> Nats {
        let config = NatsConfig {
            url: server.url().into(),
            request_timeout_ms: 3_000,
            ..NatsConfig::default()
        };
        connect(&config, "evm", &CancellationToken::new()).await.expect("connect")
    }

    pub(crate) async fn replay(&self) -> Replayed {
        Replayed::of(&self.nats, CHAIN).await
    }

    /// Waits until the node's head is the published top, and returns what the stream says then.
    pub(crate) async fn at_head(&self, chain: &Chain) -> Replayed {
        eventually(PATIENCE, async || {
            let head = chain.head()?;
            let replayed = self.replay().await;
            (replayed.top() == Some(head.hash)).then_some(replayed)
        })
        .await
    }
}

/// A running producer.
pub(crate) struct Producer {
    pub(crate) context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Producer {
    pub(crate) fn start(nats: &Nats, config: ChainConfig) -> Self {
        Self::start_named(nats, config, "one")
    }

    pub(crate) fn start_named(nats: &Nats, config: ChainConfig, instance: &str) -> Self {
        let context = Context::new(instance);
        let chains = BTreeMap::from([(CHAIN.to_owned(), config)]);
        let config = Config { chains, ..Config::default() };
        let run = crypto_intel_evm::run(config, nats.clone(), context.clone());
        Self { context, task: tokio::spawn(run) }
    }

    /// Asks it to stop and waits.
    pub(crate) async fn stop(self) {
        self.context.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task).await.expect("stops in time");
        ended.unwrap().expect("ends without an error");
    }

    /// Ends it as a crash would: nothing is finished, no lease released.
    pub(crate) fn crash(self) {
        self.task.abort();
        // The chain's task is one of the process; here it has to be ended by hand.
        self.context.shutdown.cancel();
    }

    /// Waits until the health report names these parts.
    pub(crate) async fn until_report(&self, parts: &[&str]) -> String {
        eventually(PATIENCE, async || {
            let report = self.context.health.report();
            let text = format!("{report:?}");
            parts.iter().all(|part| text.contains(part)).then_some(text)
        })
        .await
    }

    /// The value of a counter or gauge, summed over its labels that contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.context.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        metrics
            .iter()
            .filter(|metric| metric.get_label().iter().any(|pair| pair.value().contains(label)))
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }
}

pub(crate) fn chain_config(urls: &[String]) -> ChainConfig {
    let endpoints = urls.iter().enumerate().map(|(index, url)| EndpointConfig {
        name: Some(format!("node{index}")),
        // All are on one address, and stand for as many.
        operator: Some(format!("operator{index}")),
        ..EndpointConfig::at(url)
    });
    ChainConfig {
        chain_id: CHAIN_ID,
        endpoints: endpoints.collect(),
        start: Start::Number(1),
        finality_poll_ms: 50,
        finality_depth: 32,
        silence_seconds: 1,
        http_poll_ms: 50,
        request_timeout_ms: 5_000,
        reorg_confirm_seconds: 2,
        ..ChainConfig::default()
    }
}

pub(crate) async fn node() -> ScriptedNode {
    node_of(Chain::new()).await
}

pub(crate) async fn node_of(chain: Chain) -> ScriptedNode {
    ScriptedNode::start(NodeOptions { chain_id: CHAIN_ID, chain }).await.expect("start node")
}

/// Small blocks of token and native transfers.
pub(crate) fn generator(seed: u64) -> Synthetic {
    Synthetic::new(SyntheticOptions {
        seed,
        chain_id: CHAIN_ID,
        transfers_per_block: 6,
        native_per_block: 2,
        ..SyntheticOptions::default()
    })
}

pub(crate) fn push(node: &ScriptedNode, blocks: impl IntoIterator<Item = NodeBlock>) {
    for block in blocks {
        node.push_block(block).expect("push block");
    }
}

pub(crate) fn push_new(node: &ScriptedNode, generator: &mut Synthetic, count: usize) {
    push(node, (0..count).map(|_| generator.next_block()));
}
