//! The EVM producer, behind at start, until it has caught up.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use crypto_intel_evm::{ChainConfig, Config, EndpointConfig, Start};
use crypto_intel_service::Context;
use serde::{Deserialize, Serialize};

use super::{CHAIN, CHAIN_ID, answer, connect, counter, run_until, stop};
use crate::usage::Usage;

/// What to catch up with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EvmTask {
    /// The server, with its streams.
    pub(crate) nats_url: String,
    /// The node's websocket.
    pub(crate) node_url: String,
    /// How many blocks, from number 1 on.
    pub(crate) blocks: u64,
}

/// How it went.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct EvmOutcome {
    /// From its start (connected to NATS, not to the node) to the last acknowledgement.
    pub(crate) seconds: f64,
    /// Acknowledged batches.
    pub(crate) batches: u64,
    /// Of the producer's process.
    pub(crate) usage: Usage,
}

/// One chain behind one scripted node.
pub(super) fn config(node_url: &str, start: Start) -> Config {
    let chain = ChainConfig {
        chain_id: CHAIN_ID,
        endpoints: vec![EndpointConfig::at(node_url)],
        start,
        finality_depth: 8,
        ..ChainConfig::default()
    };
    Config { chains: BTreeMap::from([(CHAIN.to_owned(), chain)]), ..Config::default() }
}

pub(super) async fn run(task: EvmTask) -> anyhow::Result<()> {
    let nats = connect(&task.nats_url).await?;
    let context = Context::new("bench-evm");
    let before = Usage::own();
    let started = Instant::now();
    let config = config(&task.node_url, Start::Number(1));
    let role = crypto_intel_evm::run(config, nats, context.clone());
    let registry = &context.registry;
    let caught_up = || counter(registry, "crypto_intel_evm_blocks_acked_total") >= task.blocks;
    let role = run_until(role, caught_up).await.context("catch up")?;
    let seconds = started.elapsed().as_secs_f64();
    let mut usage = Usage::own();
    usage.cpu_seconds -= before.cpu_seconds;
    let batches = counter(registry, "crypto_intel_evm_batches_acked_total");
    answer(&EvmOutcome { seconds, batches, usage })?;
    stop(&context, role).await
}
