//! Chains whose past is taken to the tables: scripted blocks, and a real development node.

use anyhow::Context as _;
use crypto_intel_sandbox::{Anvil, AnvilOptions, evm::Contracts};
use crypto_intel_schemas::Address;
use serde_json::json;

use crate::{
    child::Child,
    fixtures::{self, Node},
    options::Options,
    setup,
    worker::{BenchScope, EvmOutcome, EvmTask, Lane, Task},
};

/// Transactions of each block of the development node, and transfers of each.
const TRANSACTIONS: usize = 10;
const TRANSFERS: u64 = 20;

/// A node with a past.
#[derive(Debug)]
pub(super) enum PastNode {
    Scripted(Box<Node>),
    Anvil { node: Anvil, first: u64, blocks: u64 },
}

impl PastNode {
    /// Scripted blocks with real bodies, where there are any.
    pub(super) async fn scripted(options: &Options) -> anyhow::Result<Self> {
        let node = Node::start(fixtures::real(options, options.history_blocks)).await?;
        Ok(Self::Scripted(Box::new(node)))
    }

    /// Blocks of 10 transactions with 20 transfers of one token each, made by anvil.
    pub(super) async fn anvil(blocks: u64) -> anyhow::Result<Self> {
        let options =
            AnvilOptions { manual_mining: true, slots_in_an_epoch: 1, ..AnvilOptions::default() };
        let node = Anvil::start(options).await.context("start anvil")?;
        let accounts = node.accounts().await?;
        let sender: Address = accounts.first().context("anvil has no account")?.parse()?;
        let deployed = Contracts::deploy(node.rpc(), sender);
        let mined = async {
            loop {
                node.mine(1).await?;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let contracts = tokio::select! {
            deployed = deployed => deployed?,
            stopped = mined => return stopped,
        };
        let first = node.block_number().await? + 1;
        for _ in 0..blocks {
            // One of the transfers of each is a mint.
            let transaction = contracts.burst(sender, TRANSFERS - 1);
            // One after the other: each takes the next nonce.
            for _ in 0..TRANSACTIONS {
                let sent = node.rpc().call("eth_sendTransaction", json!([transaction])).await;
                sent.context("send transfers")?;
            }
            node.mine(1).await?;
        }
        Ok(Self::Anvil { node, first, blocks })
    }

    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Scripted(node) => node.child.pid(),
            Self::Anvil { node, .. } => node.pid(),
        }
    }

    /// How many blocks are taken.
    pub(super) fn blocks(&self) -> u64 {
        match self {
            Self::Scripted(node) => node.task.blocks,
            Self::Anvil { blocks, .. } => *blocks,
        }
    }

    /// What they are made of.
    pub(super) fn bodies(&self) -> &'static str {
        match self {
            Self::Scripted(node) => fixtures::bodies(&node.task),
            Self::Anvil { .. } => "anvil, 10 transactions of 20 transfers",
        }
    }

    /// Taking its past to a server.
    pub(super) fn task(&self, nats_url: String, scope: BenchScope) -> EvmTask {
        let (node_url, first) = match self {
            Self::Scripted(node) => (node.url.clone(), 1),
            Self::Anvil { node, first, .. } => (node.ws_url(), *first),
        };
        EvmTask { nats_url, node_url, first, blocks: self.blocks(), lane: Lane::History, scope }
    }

    /// How many events its past has in a scope, markers included; it warms the node up, too.
    pub(super) async fn events(&self, scope: BenchScope) -> anyhow::Result<u64> {
        let broker = setup::broker().await?;
        let task = self.task(broker.server.url(), scope);
        let outcome: EvmOutcome = Child::run(&Task::Evm(task)).await.context("count the events")?;
        Ok(outcome.history_events)
    }

    pub(super) async fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Scripted(node) => node.child.end().await,
            Self::Anvil { .. } => Ok(()),
        }
    }
}
