//! The local chain of the demo: anvil with real transactions, or the scripted node.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use crypto_intel_sandbox::{
    Anvil, AnvilOptions, NodeOptions, ScriptedNode, Traffic, TrafficOptions,
    node::{Synthetic, SyntheticOptions},
    tools,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::live::LiveChain;
use crate::args::DemoArguments;

/// Time from block to block.
const BLOCK_TIME: Duration = Duration::from_secs(1);
/// Anvil's own chain id.
const CHAIN_ID: u64 = 31_337;
/// One transfer in so many is worth a message: about as many as a chat takes. Every fifth is native, so
/// this is no multiple of five.
const WHALE_INTERVAL: u64 = 97;
/// Blocks that may still be replaced.
const FINALITY_DEPTH: u64 = 8;

/// After so many blocks the scripted chain replaces its newest ones: what that does to rows and alerts belongs to what is shown.
const REORG_INTERVAL: u64 = 40;
const REORG_DEPTH: usize = 2;

/// What plays the blocks.
#[derive(Debug)]
pub(super) enum LocalChain {
    /// A real chain.
    Live(LiveChain),
    /// A real EVM node.
    Anvil { node: Anvil, rate: u32, traffic: Option<Traffic> },
    /// Generated blocks.
    Scripted {
        node: ScriptedNode,
        /// Until it plays.
        blocks: Option<Synthetic>,
        stop: CancellationToken,
        task: Option<AbortOnDropHandle<()>>,
    },
}

impl LocalChain {
    /// Starts anvil, or the scripted node where anvil is not or is not wanted; or looks for the live
    /// chain.
    pub(super) async fn start(options: &DemoArguments) -> anyhow::Result<Self> {
        let rate = options.rate;
        if let Some(chain) = &options.live {
            return LiveChain::find(chain, &options.live_endpoint).await.map(Self::Live);
        }
        if !options.scripted && tools::anvil().is_ok() {
            let options = AnvilOptions {
                chain_id: CHAIN_ID,
                block_time: Some(BLOCK_TIME),
                ..AnvilOptions::default()
            };
            let node = Anvil::start(options).await.context("start anvil")?;
            return Ok(Self::Anvil { node, rate, traffic: None });
        }
        let options = NodeOptions { chain_id: CHAIN_ID, ..NodeOptions::default() };
        let node = ScriptedNode::start(options).await.context("start the scripted node")?;
        node.chain().follow_finality(FINALITY_DEPTH / 2, FINALITY_DEPTH);
        let mut blocks = synthetic(rate);
        // A chain has a past: the producer begins below the head.
        for age in (1..=2 * FINALITY_DEPTH).rev() {
            node.push_block(blocks.next_block_at(now_seconds() - age))?;
        }
        let stop = CancellationToken::new();
        Ok(Self::Scripted { node, blocks: Some(blocks), stop, task: None })
    }

    /// Its part of the configuration.
    pub(super) fn settings(&self, place: &str) -> String {
        let url = match self {
            Self::Live(live) => return live.settings(),
            Self::Anvil { node, .. } => node.ws_url(),
            Self::Scripted { node, .. } => node.ws_url(),
        };
        format!(
            r#"[evm]
assets = "{place}/assets.toml"

[evm.chains.local]
chain_id = {CHAIN_ID}
block_time_ms = {block_time_ms}
finality_depth = {FINALITY_DEPTH}
endpoints = [{{ url = "{url}" }}]
native = {{ symbol = "ETH", decimals = 18, asset = "ethereum" }}
"#,
            block_time_ms = BLOCK_TIME.as_millis(),
        )
    }

    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Live(live) => live.name(),
            Self::Anvil { .. } => "anvil".to_owned(),
            Self::Scripted { .. } => "scripted node".to_owned(),
        }
    }

    /// Begins to send transfers.
    pub(super) async fn begin(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Live(_) => {}
            Self::Anvil { node, rate, traffic } => {
                let options = TrafficOptions {
                    per_second: f64::from((*rate).max(1)),
                    whale_every: WHALE_INTERVAL,
                    ..TrafficOptions::default()
                };
                *traffic = Some(Traffic::start(&node.http_url(), options).await?);
            }
            Self::Scripted { node, blocks, stop, task } => {
                let Some(mut blocks) = blocks.take() else { return Ok(()) };
                let chain = node.chain().clone();
                let stop = stop.clone();
                *task = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                    let mut ticks = tokio::time::interval(BLOCK_TIME);
                    for played in 1.. {
                        ticks.tick().await;
                        if stop.is_cancelled() {
                            return;
                        }
                        let next = if played % REORG_INTERVAL == 0 {
                            chain.reorg(REORG_DEPTH, blocks.fork(REORG_DEPTH, REORG_DEPTH))
                        } else {
                            chain.push_block(blocks.next_block_at(now_seconds()))
                        };
                        if let Err(error) = next {
                            tracing::error!(%error, "the scripted chain stopped");
                            return;
                        }
                    }
                })));
            }
        }
        Ok(())
    }

    /// Sends no more.
    pub(super) async fn end(&mut self) {
        match self {
            Self::Live(_) => {}
            Self::Anvil { traffic, .. } => {
                if let Some(traffic) = traffic.take()
                    && let Err(error) = traffic.stop().await
                {
                    tracing::warn!(%error, "traffic ended early");
                }
            }
            Self::Scripted { stop, task, .. } => {
                stop.cancel();
                drop(task.take());
            }
        }
    }
}

fn synthetic(rate: u32) -> Synthetic {
    Synthetic::new(SyntheticOptions {
        chain_id: CHAIN_ID,
        transfers_per_block: rate.max(1) as usize,
        native_per_block: (rate / 5).max(1) as usize,
        whale_every: WHALE_INTERVAL,
        first_timestamp: now_seconds(),
        seconds_per_block: BLOCK_TIME.as_secs(),
        ..SyntheticOptions::default()
    })
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
