//! A chain as an audit reads it: over its own connections, with the producer's decoder.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use crypto_intel_schemas::{B256, Event};
use crypto_intel_service::{now_us, prometheus::Registry};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    config::ChainConfig,
    decode::{BlockContext, Decoder},
    endpoint::Pool,
    enrich::{assets::AssetList, prices::Prices},
    fetch::{Fetcher, error::BlockId, traces::Tracer},
    metrics::Metrics,
    verify::Checks,
};

/// A block of the chain and all its events, as they would be published.
#[derive(Debug, Clone)]
pub struct ChainBlock {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Hash of its parent.
    pub parent_hash: B256,
    /// Its own time, microseconds since 1970.
    pub time_us: i64,
    /// Its events, without the marker.
    pub events: Vec<Event>,
}

/// Reads blocks of one chain from its configured endpoints; publishes nothing.
#[derive(Debug)]
pub struct ChainReader {
    fetcher: Fetcher,
    decoder: Decoder,
    finality_tags: bool,
    finality_depth: u64,
    _stop: DropGuard,
    _tasks: JoinSet<()>,
}

impl ChainReader {
    /// Connects to the chain's endpoints and waits until one of them reports its head.
    ///
    /// # Errors
    /// When none does within `patience`, with the last error of each.
    pub async fn connect(
        chain: &str,
        config: &ChainConfig,
        assets: Option<&Path>,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let metrics = Metrics::new(&Registry::new()).context("make metrics")?.of_chain(chain);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let pool = Pool::start(chain, config, &metrics, &stop, &mut tasks);
        let mut changes = pool.changes();
        let connected = tokio::time::timeout(patience, async {
            while pool.head().is_none() && changes.changed().await.is_ok() {}
        });
        if connected.await.is_err() {
            anyhow::bail!("no endpoint of chain {chain} is connected: {}", pool.trouble());
        }
        let checks = Checks::of(config);
        let assets = AssetList::load(assets)?.of_chain(chain);
        Ok(Self {
            fetcher: Fetcher::new(pool, checks, metrics.clone()).with_tracer(Tracer::of(config)),
            decoder: Decoder::new(chain, config, assets, metrics),
            finality_tags: config.finality_tags,
            finality_depth: config.finality_depth,
            _stop: stop.drop_guard(),
            _tasks: tasks,
        })
    }

    /// Highest final block: by the chain's `finalized` tag, else by the configured depth.
    ///
    /// # Errors
    /// When no endpoint answers, or two of them call different blocks of one height final.
    pub async fn finalized(&self) -> anyhow::Result<u64> {
        if self.finality_tags {
            let finality = self.fetcher.finality().await.context("ask for the final block")?;
            let finality = finality.context(
                "two endpoints call different blocks of one height final: try again when they agree",
            )?;
            if let Some(block) = finality.finalized {
                return Ok(block.number);
            }
        }
        let head = self.fetcher.pool().agreed_head().context("no endpoint is connected")?;
        Ok(head.saturating_sub(self.finality_depth))
    }

    /// A block and its events.
    ///
    /// # Errors
    /// When no endpoint has it, or none gives a valid answer.
    pub async fn block(&self, number: u64) -> anyhow::Result<ChainBlock> {
        let block = self
            .fetcher
            .block(BlockId::Number(number))
            .await
            .with_context(|| format!("fetch block {number}"))?;
        let context = BlockContext::new(now_us(), Prices::default());
        let mut events = Vec::with_capacity(block.logs.len() + block.transactions.len());
        self.decoder.decode(&block, &context, &mut |event| events.push(event));
        Ok(ChainBlock {
            number: block.header.number,
            hash: block.header.hash,
            parent_hash: block.header.parent_hash,
            time_us: block.header.time_us(),
            events,
        })
    }
}
