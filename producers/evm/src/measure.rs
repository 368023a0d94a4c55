//! For benchmarks and tests: the pure part of the pipeline, from JSON to bodies, without network and broker.

use anyhow::Context as _;
use crypto_intel_schemas::{AccountAddress, Address, Event, WatchChain};
use crypto_intel_service::prometheus::Registry;

use crate::{
    block::BlockData,
    config::ChainConfig,
    decode::{BlockContext, Decoder},
    enrich::{
        assets::AssetList, labels::LabelCache, prices::PriceCache, tokens::Tokens,
        watch::WatchlistCache,
    },
    metrics::Metrics,
    source::encode::Bodies,
    verify::{Checks, Demand, LogsAnswer, assemble, level::LogProof, read_header},
};

/// One chain's decoder.
#[derive(Debug)]
pub struct Pipeline {
    decoder: Decoder,
    prices: PriceCache,
    watched: WatchlistCache,
    labels: LabelCache,
    known_as: String,
}

/// A verified block.
#[derive(Debug)]
pub struct MeasuredBlock(BlockData);

impl MeasuredBlock {
    /// Gas that it used.
    #[must_use]
    pub fn gas_used(&self) -> u64 {
        self.0.header.gas_used
    }

    /// Its time, seconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.0.header.timestamp
    }
}

impl Pipeline {
    /// With the built-in list of tokens of a chain.
    ///
    /// # Errors
    /// Never in practice: the built-in list is tested.
    pub fn new(chain: &str) -> anyhow::Result<Self> {
        Self::of(chain, &ChainConfig::default())
    }

    /// The same for a chain as it is configured.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of(chain: &str, config: &ChainConfig) -> anyhow::Result<Self> {
        let all_metrics = Metrics::new(&Registry::new())?;
        let metrics = all_metrics.of_chain(chain);
        let assets = AssetList::load(None)?.of_chain(chain);
        let decoder = Decoder::new(chain, config, assets, metrics);
        let watched = WatchlistCache::new(all_metrics.clone());
        let labels = LabelCache::new(all_metrics);
        let known_as = chain.to_owned();
        Ok(Self { decoder, prices: PriceCache::new(300), watched, labels, known_as })
    }

    /// Watches addresses from now on.
    pub fn watch(&self, addresses: impl IntoIterator<Item = Address>) {
        self.watched.set(WatchChain::All, addresses);
    }

    /// Reads and verifies the answers of `eth_getBlockByNumber(n, true)` and `eth_getBlockReceipts(n)`.
    ///
    /// # Errors
    /// When the answers cannot be one block.
    pub fn read(
        &self,
        block: &str,
        receipts: &str,
        proof: LogProof,
    ) -> anyhow::Result<MeasuredBlock> {
        Self::read_by(block, receipts, Checks::strict(proof))
    }

    /// The same, proven by the header's hash, the root of the transactions and that of the receipts.
    ///
    /// # Errors
    /// When the answers cannot be one block.
    pub fn read_proven(&self, block: &str, receipts: &str) -> anyhow::Result<MeasuredBlock> {
        let (header, transactions) = (Demand::Strict, Demand::Strict);
        let checks = Checks { header, transactions, ..Checks::strict(LogProof::ReceiptsRoot) };
        Self::read_by(block, receipts, checks)
    }

    fn read_by(block: &str, receipts: &str, checks: Checks) -> anyhow::Result<MeasuredBlock> {
        let header = read_header(block)?.context("no block")?;
        Ok(MeasuredBlock(assemble(header, block, LogsAnswer::Receipts(receipts), checks)?))
    }

    /// All events of logs alone (an answer of `eth_getLogs`), as of a block that has nothing else.
    ///
    /// # Errors
    /// When the answer cannot be logs of one block.
    pub fn events_of_logs(&self, header: &str, logs: &str) -> anyhow::Result<Vec<Event>> {
        let read = read_header(header)?.context("no block")?;
        let checks = Checks { log_indexes: false, ..Checks::strict(LogProof::Off) };
        let block = assemble(read, header, LogsAnswer::Logs(logs), checks)?;
        let context = BlockContext::new(1, self.prices.now());
        let mut events = Vec::new();
        self.decoder.decode(&block, &context, &mut |event| events.push(event));
        Ok(events)
    }

    /// The addresses that each event of a block names.
    #[must_use]
    pub fn addresses(&self, block: &MeasuredBlock) -> Vec<Vec<Address>> {
        let mut found = Vec::new();
        self.decoder.decode(&block.0, &self.context(), &mut |event| {
            found.push(event.touched().iter().filter_map(AccountAddress::evm).collect());
        });
        found
    }

    /// All events of a block.
    #[must_use]
    pub fn events(&self, block: &MeasuredBlock) -> Vec<Event> {
        let mut events = Vec::new();
        self.decoder.decode(&block.0, &self.context(), &mut |event| events.push(event));
        events
    }

    /// Decodes and encodes all events of a block; how many there are.
    #[must_use]
    pub fn bodies(&self, block: &MeasuredBlock) -> usize {
        Bodies::of(&self.decoder, &block.0, &self.context()).len()
    }

    fn context(&self) -> BlockContext {
        BlockContext {
            observed_at_us: 1,
            incarnation: 1,
            prices: self.prices.now(),
            tokens: Tokens::default(),
            watched: self.watched.view(self.decoder.chain()),
            labels: self.labels.view(&self.known_as),
            dust: None,
            marks: Vec::new(),
        }
    }
}
