//! A scripted node, and the producer between it and the broker.

use std::collections::BTreeMap;

use crypto_intel_evm::{ChainConfig, Config, EndpointConfig, Start, run};
use crypto_intel_nats::Nats;
use crypto_intel_sandbox::{
    Chain, NodeBlock, NodeOptions, ScriptedNode,
    node::{Synthetic, SyntheticOptions},
};
use crypto_intel_testkit::{Broker, RunningRole, eventually};

use crate::stream::Replayed;

pub(crate) const CHAIN: &str = "testchain";
pub(crate) const CHAIN_ID: u64 = 31_337;

/// Folds the stream of the chain.
pub(crate) trait Replay {
    async fn replay(&self) -> Replayed;

    /// Waits until the node's head is the published top, and folds the stream.
    async fn at_head(&self, chain: &Chain) -> Replayed;
}

impl Replay for Broker {
    async fn replay(&self) -> Replayed {
        Replayed::of(&self.nats, CHAIN).await
    }

    async fn at_head(&self, chain: &Chain) -> Replayed {
        eventually(async || {
            let head = chain.head()?;
            let replayed = self.replay().await;
            (replayed.top() == Some(head.hash)).then_some(replayed)
        })
        .await
    }
}

/// Starts the producer of one chain.
pub(crate) fn start_evm(nats: &Nats, config: ChainConfig) -> RunningRole {
    start_evm_as("one", nats, config)
}

pub(crate) fn start_evm_as(instance: &str, nats: &Nats, config: ChainConfig) -> RunningRole {
    let chains = BTreeMap::from([(CHAIN.to_owned(), config)]);
    start_chains(instance, nats, chains)
}

pub(crate) fn start_chains(
    instance: &str,
    nats: &Nats,
    chains: BTreeMap<String, ChainConfig>,
) -> RunningRole {
    let config = Config { chains, ..Config::default() };
    RunningRole::start(instance, |context| run(config, nats.clone(), context))
}

pub(crate) fn chain_config(urls: &[String]) -> ChainConfig {
    let endpoints = urls.iter().enumerate().map(|(index, url)| EndpointConfig {
        name: Some(format!("node{index}")),
        // All are on one address, but stand for different operators.
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
