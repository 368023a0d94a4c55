//! A chain as an audit reads it: over its own connections, with the producer's decoder.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use crypto_intel_chain::header::Span;
use crypto_intel_nats::{Bucket, Nats};
use crypto_intel_schemas::{B256, Event, Kind};
use crypto_intel_service::{now_us, prometheus::Registry};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    block::BlockData,
    config::{ChainConfig, transactions_mode::TransactionsMode},
    decode::{BlockContext, Decoder},
    endpoint::Pool,
    enrich::{assets::AssetList, prices::Prices, watch::WatchlistCache},
    fetch::{Fetcher, error::BlockId},
    metrics::Metrics,
    scope::record::ScopeRecord,
    source::scopes,
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
    /// Its events in the chain's scope, without the marker.
    pub events: Vec<Event>,
}

/// Reads blocks of one chain from its configured endpoints; publishes nothing.
#[derive(Debug)]
pub struct ChainReader {
    pub(crate) fetcher: Fetcher,
    chain: String,
    pub(crate) decoder: Decoder,
    watched: WatchlistCache,
    finality_tags: bool,
    finality_depth: u64,
    _stop: DropGuard,
    tasks: JoinSet<()>,
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
        let metrics_of_all = Metrics::new(&Registry::new()).context("make metrics")?;
        let metrics = metrics_of_all.of_chain(chain);
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
        let assets = AssetList::load(assets)?.of_chain(chain);
        let decoder = Decoder::new(chain, config, assets, metrics.clone());
        Ok(Self {
            fetcher: Fetcher::of(pool, config, &decoder, metrics),
            chain: chain.to_owned(),
            decoder,
            watched: WatchlistCache::new(metrics_of_all),
            finality_tags: config.finality_tags,
            finality_depth: config.finality_depth,
            _stop: stop.drop_guard(),
            tasks,
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

    /// The first block with this time, microseconds UTC, or a later one; `None` while there is none.
    ///
    /// # Errors
    /// When no endpoint answers.
    pub async fn first_block_since(&self, time_us: i64) -> anyhow::Result<Option<u64>> {
        let head = self.fetcher.pool().agreed_head().context("no endpoint is connected")?;
        let is_since = async |number: u64| {
            let header = self.fetcher.header(BlockId::Number(number)).await;
            let header = header.with_context(|| format!("fetch header {number}"))?;
            anyhow::Ok(header.time_us() >= time_us)
        };
        if !is_since(head).await? {
            return Ok(None);
        }
        // Every block from `last` on is of that time.
        let (mut first, mut last) = (0, head);
        while first < last {
            let middle = first + (last - first) / 2;
            match is_since(middle).await? {
                true => last = middle,
                false => first = middle + 1,
            }
        }
        Ok(Some(last))
    }

    /// The scope that blocks are read for: the text that markers and verified ranges have; `None` = everything.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        let scope = self.decoder.scope();
        (!scope.is_everything()).then(|| scope.digest())
    }

    /// Whether what was complete for a scope, by its digest, is complete for the chain's scope.
    ///
    /// # Errors
    /// When the scopes that the chain had cannot be read.
    pub async fn is_covered_by(&self, nats: &Nats, digest: Option<&str>) -> anyhow::Result<bool> {
        let scope = self.decoder.scope();
        let Some(digest) = digest.filter(|digest| *digest != scope.digest()) else {
            return Ok(true);
        };
        let bucket = nats.kv(Bucket::Cursors).await.context("open bucket cursors")?;
        let entry = bucket.get(&scopes::key(&self.chain)).await.context("read the scopes")?;
        let record: Option<ScopeRecord> =
            entry.and_then(|entry| serde_json::from_slice(&entry.value).ok());
        let earlier = record.as_ref().and_then(|record| record.scope_of(digest));
        Ok(earlier.is_some_and(|earlier| earlier.covers(scope)))
    }

    /// Whether the rows of transactions can be judged by the chain: all of them are published. Otherwise they depend on the
    /// watch-list as it was at the time of each block, which is not known later.
    #[must_use]
    pub fn judges_transactions(&self) -> bool {
        self.decoder.transactions() == TransactionsMode::All
            && !self.decoder.scope().is_watched_only()
    }

    /// Reads the watch-list, where the scope is what touches its addresses. Returns whether it is.
    pub async fn read_watchlist(&mut self, nats: &Nats) -> bool {
        if !self.decoder.scope().is_watched_only() {
            return false;
        }
        let watched = self.watched.clone();
        // Ends with this reader.
        self.tasks.spawn(watched.watch(nats.clone(), CancellationToken::new()));
        self.watched.loaded().await;
        true
    }

    /// A block and its events.
    ///
    /// # Errors
    /// When no endpoint has it, or none gives a valid answer.
    pub async fn block(&self, number: u64) -> anyhow::Result<ChainBlock> {
        let block = self.fetcher.block(BlockId::Number(number)).await;
        Ok(self.read(&block.with_context(|| format!("fetch block {number}"))?))
    }

    /// The blocks between two numbers, both included, in order. Those that are left out have no event in the scope.
    ///
    /// # Errors
    /// As [`block`](Self::block).
    pub async fn blocks(&self, from: u64, to: u64) -> anyhow::Result<Vec<ChainBlock>> {
        let blocks = self.fetcher.blocks(Span { from, to }).await;
        let blocks = blocks.with_context(|| format!("fetch blocks {from} to {to}"))?;
        Ok(blocks.iter().map(|past| self.read(&past.block)).collect())
    }

    /// How many blocks are best asked for at once.
    #[must_use]
    pub fn span_width(&self) -> u64 {
        if self.fetcher.is_filtered() { 1_000 } else { 1 }
    }

    /// Whether an event is in the scope, as the watch-list is now.
    pub(crate) fn is_published(&self, event: &Event) -> bool {
        let scope = self.decoder.scope();
        scope.wants(event)
            && (!scope.is_watched_only() || self.watched.view(&self.chain).is_touched_by(event))
    }

    fn read(&self, block: &BlockData) -> ChainBlock {
        let context = BlockContext::new(now_us(), Prices::default());
        let mut events = Vec::with_capacity(block.logs.len() + block.transactions.len());
        self.decoder.decode(block, &context, &mut |event| {
            let is_judged = self.judges_transactions() || event.kind() != Kind::Transaction;
            if is_judged && self.is_published(&event) {
                events.push(event);
            }
        });
        ChainBlock {
            number: block.header.number,
            hash: block.header.hash,
            parent_hash: block.header.parent_hash,
            time_us: block.header.time_us(),
            events,
        }
    }
}
