//! The scripted node with its blocks ready in memory.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use crypto_intel_sandbox::{
    NodeOptions, ScriptedNode,
    node::{
        NodeBlock, Relink, RelinkOptions, Synthetic, SyntheticOptions, load_recorded,
        recorded_numbers,
    },
};
use crypto_intel_service::now_us;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{CHAIN_ID, answer};

/// Recorded Ethereum blocks of ordinary size: full ones of 2023 and 2024.
const REAL_CHAIN: &str = "ethereum";
const REAL_NUMBERS: std::ops::RangeInclusive<u64> = 16_900_000..=20_000_000;
/// This many generated blocks name all accounts.
const GENERATED_SAMPLE: u64 = 100;

/// A chain to serve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodeTask {
    /// Blocks that are there from the start, numbers from 1.
    pub(crate) blocks: u64,
    /// ERC-20 transfers in each generated block; the first is a whale's.
    pub(crate) transfers: usize,
    /// Recorded data: real bodies under new numbers instead of generated ones.
    pub(crate) data: Option<PathBuf>,
    /// A second endpoint serves the same chain, and the first one's answers take this long once the chain grows.
    #[serde(default)]
    pub(crate) first_takes: Option<Duration>,
}

/// Answer: the node serves.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodeReady {
    /// Its websocket.
    pub(crate) url: String,
    /// That of the second endpoint, where there is one.
    pub(crate) second: Option<String>,
}

/// An order to let the chain grow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Play {
    /// How many blocks.
    pub(crate) blocks: u64,
    /// How many in a second.
    pub(crate) per_second: f64,
}

/// Answer: the chain has grown.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Played {
    /// Number of each block and when the node pushed it, microseconds since 1970.
    pub(crate) pushed: Vec<(u64, i64)>,
}

/// A block of one of several chains, and when it was seen somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockAt {
    /// Which of the chains.
    pub(crate) chain: usize,
    /// The block's number.
    pub(crate) number: u64,
    /// Microseconds since 1970.
    pub(crate) at_us: i64,
}

/// Where a chain begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Which of several chains: each has an id and transactions of its own.
    pub(super) chain: usize,
    pub(super) first_number: u64,
    pub(super) first_timestamp: u64,
}

/// A node with the blocks that it goes on with.
pub(super) struct Served {
    pub(super) node: ScriptedNode,
    pub(super) blocks: Blocks,
}

pub(super) enum Blocks {
    Generated(Synthetic),
    Real(Relink),
}

impl Served {
    /// Starts a node that has `task.blocks` blocks, the last one a second old.
    pub(super) async fn start(
        task: &NodeTask,
        chain: usize,
        first_number: u64,
    ) -> anyhow::Result<Self> {
        let options = NodeOptions { chain_id: CHAIN_ID + chain as u64, ..NodeOptions::default() };
        let node = ScriptedNode::start(options).await.context("start the scripted node")?;
        let first_timestamp = seconds().saturating_sub(task.blocks);
        let mut blocks = Blocks::new(task, Origin { chain, first_number, first_timestamp })?;
        for number in 0..task.blocks {
            blocks.push(&node, first_timestamp + number)?;
        }
        Ok(Self { node, blocks })
    }
}

impl Blocks {
    fn new(task: &NodeTask, origin: Origin) -> anyhow::Result<Self> {
        let Origin { chain, first_number, first_timestamp } = origin;
        if let Some(data) = &task.data {
            return real(data, first_number, first_timestamp).map(Self::Real);
        }
        Ok(Self::Generated(Synthetic::new(SyntheticOptions {
            seed: 1 + chain as u64,
            chain_id: CHAIN_ID + chain as u64,
            transfers_per_block: task.transfers,
            whale_every: task.transfers as u64,
            first_number,
            first_timestamp,
            seconds_per_block: 1,
            accounts: 1_000,
            ..SyntheticOptions::default()
        })))
    }

    fn next_at(&mut self, timestamp: u64) -> NodeBlock {
        match self {
            Self::Generated(blocks) => blocks.next_block_at(timestamp),
            Self::Real(blocks) => blocks.next_block_at(timestamp),
        }
    }

    /// Real bodies take most of a megabyte each, so they are built on request.
    fn push(&mut self, node: &ScriptedNode, timestamp: u64) -> anyhow::Result<()> {
        match self {
            Self::Generated(blocks) => node.push_block(blocks.next_block_at(timestamp)),
            Self::Real(blocks) => node.push_lazy(blocks.next_lazy_at(timestamp)),
        }
    }
}

/// Blocks with the same bodies as those of a node, enough to know the addresses in them.
pub(crate) fn sample(task: &NodeTask) -> anyhow::Result<Vec<NodeBlock>> {
    if let Some(data) = &task.data {
        return recorded(data);
    }
    let origin = Origin { chain: 0, first_number: 1, first_timestamp: 1 };
    let mut blocks = Blocks::new(task, origin)?;
    Ok((1..=task.blocks.min(GENERATED_SAMPLE)).map(|number| blocks.next_at(number)).collect())
}

fn recorded(data: &Path) -> anyhow::Result<Vec<NodeBlock>> {
    let mut numbers = recorded_numbers(data, REAL_CHAIN)?;
    numbers.retain(|number| REAL_NUMBERS.contains(number));
    ensure!(!numbers.is_empty(), "no recorded {REAL_CHAIN} block in {}", data.display());
    load_recorded(data, REAL_CHAIN, &numbers)
}

fn real(data: &Path, first_number: u64, first_timestamp: u64) -> anyhow::Result<Relink> {
    let options = RelinkOptions {
        first_number,
        first_timestamp,
        seconds_per_block: 1,
        ..RelinkOptions::default()
    };
    Relink::new(&recorded(data)?, &options)
}

pub(super) async fn run(task: NodeTask) -> anyhow::Result<()> {
    let mut served = [Served::start(&task, 0, 1).await?];
    let [Served { node, .. }] = &served;
    let url = node.ws_url();
    let second = match task.first_takes {
        Some(_) => {
            let chain = node.chain().clone();
            let options = NodeOptions { chain_id: CHAIN_ID, chain };
            Some(ScriptedNode::start(options).await.context("start the second endpoint")?)
        }
        None => None,
    };
    answer(&NodeReady { url, second: second.as_ref().map(ScriptedNode::ws_url) })?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.context("read orders")? {
        let order = serde_json::from_str(&order).context("read an order")?;
        let [Served { node, .. }] = &served;
        node.delay_answers(task.first_takes);
        let pushed = play(&mut served, &order).await?;
        answer(&Played {
            pushed: pushed.iter().map(|block| (block.number, block.at_us)).collect(),
        })?;
    }
    Ok(())
}

/// Lets all chains grow at the same pace, one after the other: heads of different chains do not come together.
pub(super) async fn play(served: &mut [Served], order: &Play) -> anyhow::Result<Vec<BlockAt>> {
    let mut pushed = Vec::new();
    let pace = order.per_second * served.len() as f64;
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / pace));
    ticks.tick().await;
    for _ in 0..order.blocks {
        for (chain, Served { node, blocks }) in served.iter_mut().enumerate() {
            // Built before it is due, so that building it delays nothing.
            let block = blocks.next_at(seconds());
            let number = block.number;
            ticks.tick().await;
            pushed.push(BlockAt { chain, number, at_us: now_us() });
            node.push_block(block)?;
        }
    }
    Ok(pushed)
}

fn seconds() -> u64 {
    now_us().unsigned_abs() / 1_000_000
}
