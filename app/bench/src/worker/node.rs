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

enum Blocks {
    Generated(Synthetic),
    Real(Relink),
}

impl Blocks {
    fn new(task: &NodeTask, first_timestamp: u64) -> anyhow::Result<Self> {
        if let Some(data) = &task.data {
            return real(data, first_timestamp).map(Self::Real);
        }
        Ok(Self::Generated(Synthetic::new(SyntheticOptions {
            chain_id: CHAIN_ID,
            transfers_per_block: task.transfers,
            whale_every: task.transfers as u64,
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
    let mut blocks = Blocks::new(task, 1)?;
    Ok((1..=task.blocks.min(GENERATED_SAMPLE)).map(|number| blocks.next_at(number)).collect())
}

fn recorded(data: &Path) -> anyhow::Result<Vec<NodeBlock>> {
    let mut numbers = recorded_numbers(data, REAL_CHAIN)?;
    numbers.retain(|number| REAL_NUMBERS.contains(number));
    ensure!(!numbers.is_empty(), "no recorded {REAL_CHAIN} block in {}", data.display());
    load_recorded(data, REAL_CHAIN, &numbers)
}

fn real(data: &Path, first_timestamp: u64) -> anyhow::Result<Relink> {
    let options =
        RelinkOptions { first_timestamp, seconds_per_block: 1, ..RelinkOptions::default() };
    Relink::new(&recorded(data)?, &options)
}

pub(super) async fn run(task: NodeTask) -> anyhow::Result<()> {
    let options = NodeOptions { chain_id: CHAIN_ID, ..NodeOptions::default() };
    let node = ScriptedNode::start(options).await.context("start the scripted node")?;
    let first = seconds().saturating_sub(task.blocks);
    let mut blocks = Blocks::new(&task, first)?;
    for number in 0..task.blocks {
        blocks.push(&node, first + number)?;
    }
    let second = match task.first_takes {
        Some(_) => {
            let chain = node.chain().clone();
            let options = NodeOptions { chain_id: CHAIN_ID, chain };
            Some(ScriptedNode::start(options).await.context("start the second endpoint")?)
        }
        None => None,
    };
    answer(&NodeReady { url: node.ws_url(), second: second.as_ref().map(ScriptedNode::ws_url) })?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.context("read orders")? {
        let order = serde_json::from_str(&order).context("read an order")?;
        node.delay_answers(task.first_takes);
        answer(&play(&node, &mut blocks, &order).await?)?;
    }
    Ok(())
}

async fn play(node: &ScriptedNode, blocks: &mut Blocks, order: &Play) -> anyhow::Result<Played> {
    let mut pushed = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / order.per_second));
    ticks.tick().await;
    for _ in 0..order.blocks {
        // Built before it is due, so that building it delays nothing.
        let block = blocks.next_at(seconds());
        let number = block.number;
        ticks.tick().await;
        pushed.push((number, now_us()));
        node.push_block(block)?;
    }
    Ok(Played { pushed })
}

fn seconds() -> u64 {
    now_us().unsigned_abs() / 1_000_000
}
