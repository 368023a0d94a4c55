//! An EVM chain as the chain-neutral half sees it.

mod contracts;
pub(crate) mod encode;
mod factories;
mod past;
pub(crate) mod scopes;
mod span_width;
mod untraced;
mod untraced_gap;

use std::{convert::Infallible, sync::Arc};

use crypto_intel_chain::{
    backfill::queue::{Gap, GapReason},
    bodies::Prepared,
    header::{BlockId, Header, Span},
    heads::{Finality, Head},
    interrupt::ChainInterrupt,
    past::{Activity, Look, Touching},
    source::{ChainSource, LiveLane},
    unavailable::Unavailable,
};
use crypto_intel_nats::Nats;
use crypto_intel_schemas::{AccountAddress, Block, BlockRef};
use crypto_intel_service::now_us;
use tokio::sync::{Semaphore, watch};

use self::{
    contracts::ContractStore, encode::Detail, factories::FactorySearch, scopes::Scopes,
    span_width::SpanWidth, untraced::UntracedQueue,
};
use crate::{
    balances::Balances,
    decode::{BlockContext, Decoder},
    enrich::{
        labels::{LabelCache, LabelView},
        look_alikes::{LookAlikes, config::LookAlikeConfig},
        prices::{PriceCache, Prices},
        tokens::TokenMetadataCache,
        watch::WatchlistCache,
    },
    explorer::Explorers,
    fetch::{Fetcher, error::FetchError, filtered::PastBlock},
    metrics::ChainMetrics,
};

/// Past blocks fetched together where logs are requested by range.
const SPAN_WIDTH: u64 = 10;

/// Dependencies of [`EvmSource`].
#[derive(Debug)]
pub(crate) struct SourceParts {
    pub(crate) chain: String,
    pub(crate) nats: Nats,
    pub(crate) fetcher: Fetcher,
    pub(crate) decoder: Decoder,
    pub(crate) prices: PriceCache,
    pub(crate) tokens: TokenMetadataCache,
    pub(crate) watched: WatchlistCache,
    pub(crate) labels: LabelCache,
    /// What lists of labels call this chain.
    pub(crate) known_as: String,
    /// What is taken for an imitation of a counterparty.
    pub(crate) look_alikes: LookAlikeConfig,
    pub(crate) metrics: ChainMetrics,
    pub(crate) explorers: Explorers,
    /// Whether the chain is asked for its `finalized` and `safe` blocks.
    pub(crate) finality_tags: bool,
    /// Blocks of the live lane that are fetched concurrently.
    pub(crate) fetch_concurrency: usize,
    /// Balances of watched wallets, where they are wanted.
    pub(crate) balances: Option<Balances>,
}

/// Balances are read once live is so near the head: ordinary endpoints have the state of the last 128 blocks, and while live
/// catches up every core is its own.
const NEAR_HEAD_BLOCKS: u64 = 16;

/// One EVM chain: endpoints, checks, decoder and data from outside the chain.
#[derive(Debug)]
pub(crate) struct EvmSource {
    chain: String,
    fetcher: Fetcher,
    decoder: Arc<Decoder>,
    prices: PriceCache,
    tokens: TokenMetadataCache,
    watched: WatchlistCache,
    labels: LabelCache,
    known_as: String,
    look_alikes: LookAlikes,
    explorers: Explorers,
    finality_tags: bool,
    /// One permit per block of the live lane that is being fetched.
    fetching: Semaphore,
    contracts: Arc<ContractStore>,
    factories: FactorySearch,
    scopes: Scopes,
    /// Past blocks that are fetched together where only some of their logs are.
    width: SpanWidth,
    untraced: UntracedQueue,
    /// Balances of watched wallets, where they are wanted.
    balances: Option<Balances>,
}

impl EvmSource {
    pub(crate) fn new(parts: SourceParts) -> Self {
        let SourceParts { chain, nats, fetcher, decoder, prices, tokens, .. } = parts;
        let SourceParts { watched, metrics, explorers, .. } = parts;
        let (labels, known_as) = (parts.labels, parts.known_as);
        let look_alikes = LookAlikes::new(&chain, parts.look_alikes, nats.clone());
        let decoder = Arc::new(decoder);
        let contracts =
            Arc::new(ContractStore::new(chain.clone(), nats.clone(), Arc::clone(&decoder)));
        let factories = FactorySearch::new(
            chain.clone(),
            nats.clone(),
            fetcher.clone(),
            Arc::clone(&decoder),
            Arc::clone(&contracts),
        );
        let scopes = Scopes::new(chain.clone(), nats.clone(), Arc::clone(&decoder));
        let untraced = UntracedQueue::new(chain.clone(), nats, fetcher.clone(), metrics);
        let fetching = Semaphore::new(parts.fetch_concurrency);
        let finality_tags = parts.finality_tags;
        Self {
            chain,
            fetcher,
            decoder,
            prices,
            tokens,
            watched,
            labels,
            known_as,
            look_alikes,
            explorers,
            finality_tags,
            fetching,
            contracts,
            factories,
            scopes,
            width: SpanWidth::default(),
            untraced,
            balances: parts.balances,
        }
    }

    /// Context of a past block: without prices, because today's do not apply to it.
    fn context_of_past(&self) -> BlockContext {
        let watched = self.watched.view(&self.chain);
        let labels = self.label_view();
        BlockContext { watched, labels, ..BlockContext::new(now_us(), Prices::default()) }
    }

    fn label_view(&self) -> LabelView {
        self.labels.view(&self.known_as)
    }
}

impl ChainSource for EvmSource {
    type Detail = Detail;

    fn head(&self) -> Option<Head> {
        let head = self.fetcher.pool().head()?;
        let block = BlockRef { number: head.number, hash: head.hash };
        Some(Head { block, seen_at_us: head.seen_at_us })
    }

    fn highest_number(&self) -> Option<u64> {
        self.fetcher.pool().highest()
    }

    fn agreed_number(&self) -> Option<u64> {
        self.fetcher.pool().agreed_head()
    }

    fn announced(&self) -> Vec<Vec<BlockRef>> {
        self.fetcher.pool().announced()
    }

    fn head_changes(&self) -> watch::Receiver<u64> {
        self.fetcher.pool().changes()
    }

    async fn header(&self, id: BlockId) -> Result<Option<Header>, Unavailable> {
        let header = self.fetcher.header(id.into()).await.map_err(unavailable)?;
        Ok(Some(header.link()))
    }

    async fn block(
        &self,
        id: BlockId,
        observed_at_us: i64,
    ) -> Result<Option<Prepared<Detail>>, Unavailable> {
        let permit = self.fetching.acquire().await;
        let block = self.fetcher.live_block(id.into()).await;
        drop(permit);
        let block = block.map_err(|error| unavailable(error.of(id.into())))?;
        let context = BlockContext {
            observed_at_us,
            incarnation: 1,
            tokens: self.tokens.of_block(&self.decoder.unlisted_tokens(&block)).await,
            prices: self.prices.now(),
            watched: self.watched.view(&self.chain),
            labels: self.label_view(),
            dust: self.look_alikes.dust(),
            marks: Vec::new(),
        };
        Ok(Some(encode::prepare(&self.decoder, block, context)))
    }

    async fn finality(&self) -> Result<Option<Finality>, Unavailable> {
        if !self.finality_tags {
            return Ok(Some(Finality::default()));
        }
        self.fetcher.finality().await.map_err(unavailable)
    }

    fn refresh(&self, prepared: &mut Prepared<Detail>, incarnation: u32) {
        // A change of the watch-list applies from publication on, not from when a block happened to be fetched.
        let watched = self.watched.view(&self.chain);
        let Detail { context, known_contracts, .. } = &mut prepared.detail;
        if incarnation != context.incarnation
            || *known_contracts != self.decoder.abis().version()
            || !context.watched.is_same(&watched)
        {
            context.incarnation = incarnation;
            context.watched = watched;
            encode::encode_again(&self.decoder, prepared);
        }
        // Here blocks come in their order.
        let marks = self.look_alikes.judge(&prepared.detail.touches);
        if marks != prepared.detail.context.marks {
            prepared.detail.context.marks = marks;
            encode::encode_again(&self.decoder, prepared);
        }
    }

    async fn blocks(&self, span: Span) -> Result<Vec<Prepared<Detail>>, Unavailable> {
        let blocks = self.fetcher.blocks(span).await.map_err(unavailable)?;
        let context = self.context_of_past();
        let found = blocks.iter().map(|past| past.block.logs.len()).sum();
        self.width.found(span, found);
        let prepare = |past: PastBlock| {
            let mut prepared = encode::prepare(&self.decoder, past.block, context.clone());
            prepared.marker.covers_from = past.covers_from;
            // Saves memory while blocks wait to be published: the logs are in the bodies now.
            prepared.detail.block.logs = Vec::new();
            prepared.detail.block.data = Vec::new();
            prepared
        };
        Ok(blocks.into_iter().map(prepare).collect())
    }

    fn span_width(&self) -> u64 {
        match (self.fetcher.is_filtered(), self.fetcher.prefers_ranges()) {
            (true, _) => self.width.next(),
            (false, true) => SPAN_WIDTH,
            (false, false) => 1,
        }
    }

    async fn confirmed_elsewhere(&self, block: BlockRef) -> Option<bool> {
        self.fetcher.confirmed_elsewhere(block.hash).await
    }

    fn trouble(&self) -> String {
        self.fetcher.pool().trouble()
    }

    async fn until_ready(&self) {
        // No block is published without its labels.
        self.watched.loaded().await;
        self.labels.loaded().await;
    }

    fn term_begins(&self) {
        self.contracts.forget_loaded();
        self.look_alikes.forget();
    }

    async fn before_resume(&self) -> Result<(), ChainInterrupt> {
        self.scopes.load().await?;
        self.look_alikes.load().await;
        self.contracts.load().await
    }

    async fn before_publish(&self, markers: &[&Block]) -> Result<(), ChainInterrupt> {
        if let Some(first) = markers.first() {
            self.scopes.begin_live(first.block_number).await?;
        }
        self.contracts.keep_discovered().await?;
        let blocks =
            markers.iter().map(|marker| (marker.block_number, marker.unverified.as_slice()));
        self.untraced.queue(blocks).await;
        Ok(())
    }

    async fn while_leading(self: Arc<Self>, lane: impl LiveLane) -> Infallible {
        match &self.balances {
            Some(balances) => {
                let is_near_head = || {
                    let head = self.agreed_number();
                    head.is_some_and(|head| lane.decided_number() + NEAR_HEAD_BLOCKS >= head)
                };
                let balances = balances.run(is_near_head);
                let (never, _) = tokio::join!(self.factories.search_all(&lane), balances);
                never
            }
            None => self.factories.search_all(&lane).await,
        }
    }

    async fn until_history_may_begin(&self) {
        self.factories.until_known().await;
    }

    async fn before_gap(&self, gap: &Gap) -> anyhow::Result<()> {
        self.scopes.note_past(gap).await?;
        self.factories.note_early(gap.next).await
    }

    async fn check_past(&self, gap: &Gap, prepared: &Prepared<Detail>) -> anyhow::Result<()> {
        let number = prepared.header.number;
        let unverified = prepared.marker.unverified.as_slice();
        if gap.reason == GapReason::Traces {
            return UntracedQueue::check(&self.chain, gap, number, unverified);
        }
        self.untraced.queue(std::iter::once((number, unverified))).await;
        Ok(())
    }

    async fn activity(&self, addresses: &[String], look: Look) -> anyhow::Result<Activity> {
        past::activity(self, addresses, look).await
    }

    async fn block_touching(
        &self,
        number: u64,
        addresses: &[String],
    ) -> Result<Option<Touching<Detail>>, Unavailable> {
        past::block_touching(self, number, addresses).await.map(Some)
    }

    fn scope(&self) -> Option<String> {
        let scope = self.decoder.scope();
        (!scope.is_everything()).then(|| scope.digest())
    }

    fn is_watched(&self, address: &str) -> bool {
        let address = address.parse::<AccountAddress>();
        address.is_ok_and(|address| self.watched.view(&self.chain).labels_of(&address).is_some())
    }
}

/// Converts to the error of the chain-neutral half.
fn unavailable(error: FetchError) -> Unavailable {
    if error.is_not_found() { Unavailable::unknown(error) } else { Unavailable::failed(error) }
}
