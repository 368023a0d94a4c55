//! Several scripted nodes in one process, each with a chain of its own.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{
    answer,
    node::{BlockAt, NodeTask, Served, play},
};

/// Chains to serve.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NodesTask {
    /// How many.
    pub(crate) chains: usize,
    /// Number of the first block of each.
    pub(crate) first_number: u64,
    /// What each is like.
    pub(crate) node: NodeTask,
}

/// Answer: all nodes serve.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodesReady {
    /// Their websockets, in the order of the chains.
    pub(crate) urls: Vec<String>,
}

/// Answer: all chains have grown.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NodesPlayed {
    /// The blocks, in the order in which the nodes pushed them.
    pub(crate) pushed: Vec<BlockAt>,
}

pub(super) async fn run(task: NodesTask) -> anyhow::Result<()> {
    let mut served = Vec::new();
    for chain in 0..task.chains {
        served.push(Served::start(&task.node, chain, task.first_number).await?);
    }
    answer(&NodesReady { urls: served.iter().map(|served| served.node.ws_url()).collect() })?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.context("read orders")? {
        let order = serde_json::from_str(&order).context("read an order")?;
        answer(&NodesPlayed { pushed: play(&mut served, &order).await? })?;
    }
    Ok(())
}
