//! A nats-server with our streams, and an instance that follows the chain.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto_intel_chain::{
    family::Family,
    live::ahead_budget::AheadBudget,
    metrics::Metrics,
    run::{ChainOptions, ChainParts},
    stream::history_lane::HistoryLane,
};
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{B256, Block, Event};
use crypto_intel_testkit::{Broker, RunningRole, eventually};

use crate::slots::{CHAIN, SlotChain, SlotSource};

pub(crate) struct Rig {
    pub(crate) broker: Broker,
    pub(crate) chain: Arc<SlotChain>,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self { broker: Broker::start().await, chain: SlotChain::new() }
    }

    /// Follows the chain from slot 100 on.
    pub(crate) fn follow(&self) -> RunningRole {
        self.follow_with_depth(1_000)
    }

    /// The same; if the chain does not say what is final, a block is final at this depth.
    pub(crate) fn follow_with_depth(&self, finality_depth: u64) -> RunningRole {
        let (nats, chain) = (self.broker.nats.clone(), Arc::clone(&self.chain));
        RunningRole::start("one", move |context| {
            let family = Family { name: "slots", stream: "EVM" };
            let metrics = Metrics::new(&context.registry, family.name, family.stream).unwrap();
            let parts = ChainParts {
                family,
                chain: CHAIN.to_owned(),
                options: ChainOptions {
                    start: Some(100),
                    finality_poll: Duration::from_millis(20),
                    finality_depth,
                    max_reorg_depth: 32,
                    reorg_confirm: Duration::from_secs(5),
                    catch_up_blocks: 50,
                    fetch_concurrency: 4,
                    history_concurrency: 2,
                    history_addresses: 10,
                    history_max_pending: 0,
                    stale: Duration::from_secs(60),
                },
                nats,
                source: Arc::new(SlotSource(chain)),
                metrics: metrics.of_chain(CHAIN),
                history: HistoryLane::default(),
                ahead: AheadBudget::default(),
            };
            crypto_intel_chain::run::run(parts, context)
        })
    }

    /// Waits until the stream's newest marker is the chain's head, and folds the stream then.
    pub(crate) async fn at_head(&self) -> Folded {
        eventually(async || {
            let folded = self.fold().await;
            let head = self.chain.blocks().last_key_value().map(|(slot, hash)| (*slot, *hash));
            let top = folded.stack.last().map(|top| (top.block_number, top.block_hash));
            (head.is_some() && top == head).then_some(folded)
        })
        .await
    }

    async fn fold(&self) -> Folded {
        let mut folded = Folded::default();
        for message in self.messages("EVM", &format!("evm.{CHAIN}.block")).await {
            folded.take(marker_of(&message));
        }
        folded
    }

    /// Markers of the history lane.
    pub(crate) async fn history(&self) -> Vec<Block> {
        let messages = self.messages("HISTORY", &format!("history.{CHAIN}.block")).await;
        messages.iter().map(marker_of).collect()
    }

    /// All messages on a subject.
    pub(crate) async fn messages(&self, stream: &str, subject: &str) -> Vec<StreamMessage> {
        let mut messages = self.broker.messages(stream).await;
        messages.retain(|message| message.subject == subject);
        messages
    }
}

fn marker_of(message: &StreamMessage) -> Block {
    match Event::decode(&message.payload).unwrap() {
        Event::Block(marker) => marker,
        other => panic!("no marker: {other:?}"),
    }
}

/// The live lane, folded as a consumer would.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    /// What is canonical since the last jump.
    pub(crate) stack: Vec<Block>,
    /// Every block that was published and not retracted.
    pub(crate) published: BTreeMap<u64, B256>,
    pub(crate) retracted: Vec<u64>,
    /// Markers that are not built on the one before them.
    pub(crate) jumps: usize,
}

impl Folded {
    fn take(&mut self, marker: Block) {
        if marker.removed {
            let top = self.stack.pop().expect("a removed marker pops");
            assert_eq!(top.block_hash, marker.block_hash, "newest first");
            self.published.remove(&marker.block_number);
            self.retracted.push(marker.block_number);
            return;
        }
        if let Some(top) = self.stack.last()
            && top.block_hash != marker.parent_hash
        {
            self.jumps += 1;
            self.stack.clear();
        }
        self.published.insert(marker.block_number, marker.block_hash);
        self.stack.push(marker);
    }
}
