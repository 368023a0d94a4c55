//! The EVM producer, behind at start, until it has caught up.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use crypto_intel_evm::{ChainConfig, Config, EndpointConfig, ScopeConfig, Start};
use crypto_intel_sandbox::evm::TOKEN_ADDRESS;
use crypto_intel_schemas::{Kind, Stream, subjects};
use crypto_intel_service::Context;
use serde::{Deserialize, Serialize};

use super::{CHAIN, CHAIN_ID, answer, connect, counters, run_until, stop};
use crate::usage::Usage;

/// Blocks below the head that count as final.
const FINALITY_DEPTH: u64 = 8;
/// With more final blocks than this ahead of it, a producer jumps and leaves them to the history lane.
const JUMP_BLOCKS: u64 = 16;
/// Metrics of acknowledged blocks, of either lane.
const BLOCKS_ACKED: [&str; 2] =
    ["crypto_intel_evm_blocks_acked_total", "crypto_intel_evm_history_blocks_acked_total"];

/// What to catch up with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EvmTask {
    /// The server, with its streams.
    pub(crate) nats_url: String,
    /// The node's websocket.
    pub(crate) node_url: String,
    /// First block.
    pub(crate) first: u64,
    /// How many blocks from there on.
    pub(crate) blocks: u64,
    /// On which lane.
    pub(crate) lane: Lane,
    /// What of them.
    pub(crate) scope: BenchScope,
}

/// What a producer is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BenchScope {
    /// Everything.
    #[default]
    Everything,
    /// Transfers of the sandbox's token alone.
    OneEvent,
}

impl BenchScope {
    fn config(self) -> ScopeConfig {
        match self {
            Self::Everything => ScopeConfig::default(),
            Self::OneEvent => ScopeConfig {
                kinds: vec![Kind::Erc20Transfer.as_str().to_owned()],
                contracts: vec![TOKEN_ADDRESS.to_string()],
                ..ScopeConfig::default()
            },
        }
    }
}

/// How a producer catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lane {
    /// In chain order, one fenced batch after the other.
    Live,
    /// It jumps to the final block, and the history lane fills the gap.
    History,
}

impl Lane {
    /// The stream that it fills.
    pub(crate) const fn stream(self) -> &'static str {
        match self {
            Self::Live => Stream::Evm.name(),
            Self::History => Stream::History.name(),
        }
    }

    /// Filter of everything on the lane.
    pub(crate) const fn all(self) -> &'static str {
        match self {
            Self::Live => subjects::EVM_ALL,
            Self::History => subjects::HISTORY_ALL,
        }
    }

    /// Filter of all its messages of the measured chain.
    pub(crate) fn filter(self) -> String {
        let lane = match self {
            Self::Live => subjects::Lane::Live,
            Self::History => subjects::Lane::History,
        };
        subjects::chain_all(lane, CHAIN)
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct EvmOutcome {
    /// From its start (connected to NATS, not to the node) to the last acknowledgement.
    pub(crate) seconds: f64,
    /// When the first acknowledgement was seen.
    pub(crate) first: FirstAck,
    /// Acknowledged batches of the live lane.
    pub(crate) batches: u64,
    /// Acknowledged events of the history lane.
    pub(crate) history_events: u64,
    /// Usage of the producer's process.
    pub(crate) usage: Usage,
}

/// State of the producer when its first acknowledgement was seen.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct FirstAck {
    /// Since its start.
    pub(crate) seconds: f64,
    /// Blocks that were acknowledged by then.
    pub(crate) blocks: u64,
    /// CPU time used by then.
    pub(crate) cpu_seconds: f64,
}

/// One chain behind one scripted node.
pub(super) fn chain(node_url: &str, start: Start) -> ChainConfig {
    ChainConfig {
        chain_id: CHAIN_ID,
        endpoints: vec![EndpointConfig::at(node_url)],
        start,
        finality_depth: FINALITY_DEPTH,
        ..ChainConfig::default()
    }
}

/// A configuration with that chain alone.
pub(super) fn config(chain: ChainConfig) -> Config {
    Config { chains: BTreeMap::from([(CHAIN.to_owned(), chain)]), ..Config::default() }
}

pub(super) async fn run(task: EvmTask) -> anyhow::Result<()> {
    let nats = connect(&task.nats_url).await?;
    let context = Context::new("bench-evm");
    let catch_up_blocks = match task.lane {
        Lane::Live => 0,
        Lane::History => JUMP_BLOCKS,
    };
    let chain = ChainConfig {
        catch_up_blocks,
        scope: task.scope.config(),
        ..chain(&task.node_url, Start::Number(task.first))
    };
    let before = Usage::own();
    let started = Instant::now();
    let role = crypto_intel_evm::run(config(chain), nats, context.clone());
    let registry = &context.registry;
    let mut first = None;
    let acknowledged = || {
        let blocks = counters(registry, &BLOCKS_ACKED);
        if blocks > 0 && first.is_none() {
            let seconds = started.elapsed().as_secs_f64();
            let cpu_seconds = Usage::own().cpu_seconds - before.cpu_seconds;
            first = Some(FirstAck { seconds, blocks, cpu_seconds });
        }
        blocks
    };
    let role = run_until(role, task.blocks, acknowledged).await.context("catch up")?;
    let seconds = started.elapsed().as_secs_f64();
    let mut usage = Usage::own();
    usage.cpu_seconds -= before.cpu_seconds;
    let batches = counters(registry, &["crypto_intel_evm_batches_acked_total"]);
    let history_events = counters(registry, &["crypto_intel_evm_history_messages_acked_total"]);
    let first = first.unwrap_or_default();
    answer(&EvmOutcome { seconds, first, batches, history_events, usage })?;
    stop(&context, role).await
}
