//! A broker, a growing chain behind several endpoints, and the comparison at the end.

use std::{collections::BTreeSet, time::Duration};

use crypto_intel_evm::ChainConfig;
use crypto_intel_nats::Nats;
use crypto_intel_sandbox::{Chain, NodeBlock, ScriptedNode, node::Synthetic};
use crypto_intel_schemas::{B256, Event};
use crypto_intel_testkit::{Broker, RunningRole, assert_same_set, eventually};
use serde_json::Value;

use crate::{
    growth::{Growth, Pace},
    harness::{CHAIN, Replay as _, chain_config, generator, node_of, start_evm},
    stream::{Replayed, transfers_of},
};

/// How long a lasting fault lasts.
pub(crate) fn lasting() -> Duration {
    let text = std::env::var("CRYPTO_INTEL_FAULT_SECONDS").unwrap_or_else(|_| "6".to_owned());
    Duration::from_secs(text.parse().expect("CRYPTO_INTEL_FAULT_SECONDS is a number"))
}

/// Lets the scenario run for a while: the test is about what happens meanwhile.
pub(crate) async fn pass(time: Duration) {
    let mut clock = tokio::time::interval(time);
    clock.tick().await;
    clock.tick().await;
}

pub(crate) struct Scenario {
    pub(crate) broker: Broker,
    pub(crate) chain: Chain,
    pub(crate) nodes: Vec<ScriptedNode>,
    growth: Option<Growth>,
}

impl Scenario {
    /// A chain that grows at this pace behind that many endpoints, each with its own faults.
    pub(crate) async fn start(seed: u64, endpoints: usize, pace: Pace) -> Self {
        let broker = Broker::start().await;
        let chain = Chain::new();
        chain.follow_finality(15, 30);
        let mut nodes = Vec::new();
        for _ in 0..endpoints {
            nodes.push(node_of(chain.clone()).await);
        }
        let mut blocks = generator(seed);
        for _ in 0..5 {
            chain.push_block(blocks.next_block()).unwrap();
        }
        let growth = Some(Growth::start(&chain, blocks, pace));
        Self { broker, chain, nodes, growth }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(ScriptedNode::ws_url).collect()
    }

    pub(crate) fn config(&self) -> ChainConfig {
        // No jumps: however slow the machine is, everything is published in order.
        ChainConfig { catch_up_blocks: 0, ..chain_config(&self.urls()) }
    }

    /// The producer in this process, over websockets.
    pub(crate) fn producer(&self) -> RunningRole {
        start_evm(&self.broker.nats, self.config())
    }

    pub(crate) fn height(&self) -> u64 {
        self.chain.head().map_or(0, |head| head.number)
    }

    /// Waits for progress: a published block above all that the chain has now.
    pub(crate) async fn goes_on(&self) {
        until_goes_on(&self.broker.nats, &self.chain).await;
    }

    /// Waits for any other newest marker than that of now.
    pub(crate) async fn publishes(&self) {
        let before = published(&self.broker.nats).await;
        eventually(async || published(&self.broker.nats).await != before).await;
    }

    /// Ends the growth; the returned generator continues by hand.
    pub(crate) async fn stop_growth(&mut self) -> Synthetic {
        self.growth.take().expect("chain grows").stop().await
    }

    /// Ends the growth, waits until the head is published, and compares everything.
    pub(crate) async fn ends_exact(&mut self) -> Replayed {
        let mut blocks = self.stop_growth().await;
        self.chain.push_block(blocks.next_block()).unwrap();
        self.is_exact().await
    }

    /// Waits until the head is published, and compares everything.
    pub(crate) async fn is_exact(&self) -> Replayed {
        until_exact(&self.broker.nats, &self.chain).await
    }

    pub(crate) async fn caught_up(&self) -> Replayed {
        until_published(&self.broker.nats, &self.chain).await;
        self.broker.replay().await
    }
}

/// Waits for progress: a published block above all that the chain has now.
pub(crate) async fn until_goes_on(nats: &Nats, chain: &Chain) {
    let height = chain.head().map_or(0, |head| head.number);
    eventually(async || {
        published(nats).await.is_some_and(|(number, _, removed)| number > height && !removed)
    })
    .await;
}

/// Waits until the chain's head is the published top.
pub(crate) async fn until_published(nats: &Nats, chain: &Chain) {
    let head = chain.head().expect("chain has a head");
    let wanted = Some((head.number, head.hash, false));
    eventually(async || published(nats).await == wanted).await;
}

/// The same, and asserts that all of the chain is published from its first block on.
pub(crate) async fn until_exact(nats: &Nats, chain: &Chain) -> Replayed {
    until_published(nats, chain).await;
    let replayed = Replayed::of(nats, CHAIN).await;
    assert_exact(&chain.blocks(), &replayed);
    assert_eq!(replayed.numbers().first(), Some(&1), "from the first block");
    replayed
}

/// The newest marker's block, and whether it was removed.
pub(crate) async fn published(nats: &Nats) -> Option<(u64, B256, bool)> {
    let subject = format!("evm.{CHAIN}.block");
    let message = nats.last_from_leader("EVM", &subject).await.ok()??;
    match Event::decode(&message.payload) {
        Ok(Event::Block(marker)) => Some((marker.block_number, marker.block_hash, marker.removed)),
        other => panic!("no marker: {other:?}"),
    }
}

/// Asserts that the folded stream is these blocks with all their events, nothing else and nothing twice. (The fold
/// itself asserts that markers are a stack, retractions exact and incarnations without gap.)
pub(crate) fn assert_exact<'a, B>(blocks: impl IntoIterator<Item = &'a B>, replayed: &Replayed)
where
    B: AsRef<NodeBlock> + 'a,
{
    let blocks: Vec<&NodeBlock> = blocks.into_iter().map(AsRef::as_ref).collect();
    let stack = replayed.stack.iter().map(|marker| marker.block_hash);
    assert_same_set(blocks.iter().map(|block| block.hash), stack);
    assert_same_set(transfers_of(blocks.iter().copied()), replayed.transfers());
    assert_same_set(natives_of(&blocks), natives(replayed));
}

/// Block hash and transaction index of every native transfer, by the blocks' JSON alone.
pub(crate) fn natives_of(blocks: &[&NodeBlock]) -> BTreeSet<(B256, u32)> {
    let mut natives = BTreeSet::new();
    for block in blocks {
        let body: Value = serde_json::from_str(block.full_json()).unwrap();
        for (index, transaction) in body["transactions"].as_array().unwrap().iter().enumerate() {
            if transaction["value"] != "0x0" {
                natives.insert((block.hash, index as u32));
            }
        }
    }
    natives
}

fn natives(replayed: &Replayed) -> Vec<(B256, u32)> {
    replayed
        .live()
        .filter_map(|event| match event {
            Event::NativeTransfer(transfer) => Some((transfer.block_hash, transfer.tx_index)),
            _ => None,
        })
        .collect()
}
