//! Decodes a block's transactions and logs into events. The hot path: no JSON, no strings except those of the events.
//! Hostile data never panics: a log that does not match a known form exactly is published raw.

mod abi;
mod approvals;
mod built_in;
mod configured;
mod internal;
pub(crate) mod known;
mod liquidity;
mod logs;
mod swaps;
mod transaction;
mod transactions;
mod transfers;

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, Ordering},
};

use crypto_intel_schemas::{Address, B256, Event, Kind};

use crate::{
    abis::Abis,
    block::{BlockData, LogRecord, Transaction},
    config::{
        ChainConfig, LogsMode, NativeConfig,
        transactions_mode::{L1FeeMode, TransactionsMode},
    },
    enrich::{
        assets::AssetRegistry,
        labels::LabelView,
        look_alikes::{Dust, Mark},
        prices::{Price, Prices},
        tokens::Tokens,
        watch::WatchView,
    },
    metrics::ChainMetrics,
    scope::Scope,
};

/// Reason in the raw log of a log whose decoder panicked.
const FAILED: &str = "decoder failed";

/// Decodes blocks of one chain.
#[derive(Debug)]
pub(crate) struct Decoder {
    chain: String,
    chain_id: u64,
    native: NativeConfig,
    transactions: TransactionsMode,
    l1_fee: L1FeeMode,
    every_log: bool,
    raw_contracts: HashSet<Address>,
    max_log_data_bytes: usize,
    /// Maximum bytes of the fields of a contract's event.
    max_fields_bytes: usize,
    assets: AssetRegistry,
    abis: Abis,
    scope: Scope,
    scope_digest: String,
    /// 0 while everything is published.
    scope_version: AtomicU32,
    metrics: ChainMetrics,
}

/// What decoding a block needs beyond the block itself.
#[derive(Debug, Clone)]
pub(crate) struct BlockContext {
    /// When the head was first seen, microseconds UTC.
    pub(crate) observed_at_us: i64,
    /// 1 added, 3 added again, …
    pub(crate) incarnation: u32,
    /// The newest prices; those near the block's time are used.
    pub(crate) prices: Prices,
    /// Self-reported metadata of tokens that are not on the list.
    pub(crate) tokens: Tokens,
    /// Addresses that are watched as of this block.
    pub(crate) watched: WatchView,
    /// What addresses are called as of this block.
    pub(crate) labels: LabelView,
    /// What counts as nearly nothing, where look-alikes are searched for.
    pub(crate) dust: Option<Dust>,
    /// Look-alikes that were found in the block.
    pub(crate) marks: Vec<Mark>,
}

/// Everything needed to decode one event.
struct Decoding<'a> {
    decoder: &'a Decoder,
    block: &'a BlockData,
    context: &'a BlockContext,
}

impl BlockContext {
    /// Context of a block that is seen for the first time, without tokens, watched addresses and labels.
    pub(crate) fn new(observed_at_us: i64, prices: Prices) -> Self {
        let (tokens, watched) = (Tokens::default(), WatchView::default());
        let labels = LabelView::default();
        let (dust, marks) = (None, Vec::new());
        Self { observed_at_us, incarnation: 1, prices, tokens, watched, labels, dust, marks }
    }
}

impl Decoder {
    pub(crate) fn new(
        chain: &str,
        config: &ChainConfig,
        assets: AssetRegistry,
        metrics: ChainMetrics,
    ) -> Self {
        // Validation reports unreadable ABIs; if a file became unreadable since then, an error is logged instead.
        let abis = Abis::load(&config.abis).unwrap_or_else(|problems| {
            tracing::error!(
                chain,
                problems = problems.join("; "),
                "configured ABIs cannot be read, their events are not decoded"
            );
            Abis::default()
        });
        let scope = Scope::of(config, &assets, &abis);
        Self {
            chain: chain.to_owned(),
            chain_id: config.chain_id,
            native: config.native.clone(),
            transactions: match scope.has_kind(Kind::Transaction) {
                true => config.transactions,
                false => TransactionsMode::None,
            },
            l1_fee: config.l1_fee,
            every_log: config.logs == LogsMode::All,
            raw_contracts: config.contract_addresses(),
            max_log_data_bytes: config.max_log_data_bytes,
            max_fields_bytes: usize::MAX,
            scope_digest: scope.digest(),
            scope_version: AtomicU32::new(0),
            scope,
            assets,
            abis,
            metrics,
        }
    }

    /// Sets the maximum bytes of the fields of a contract's event; a larger one is published raw.
    pub(crate) fn with_max_fields(mut self, bytes: usize) -> Self {
        self.max_fields_bytes = bytes;
        self
    }

    /// Which events are published.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Sets the version of the scope that blocks are published for; `None` while that is everything.
    pub(crate) fn set_scope_version(&self, version: Option<u32>) {
        self.scope_version.store(version.unwrap_or(0), Ordering::Relaxed);
    }

    /// Which transactions are published as events of their own.
    pub(crate) fn transactions(&self) -> TransactionsMode {
        self.transactions
    }

    /// Version and digest of the scope, as markers have them; `None` while everything is published.
    pub(crate) fn scope_stamp(&self) -> Option<(u32, &str)> {
        let version = self.scope_version.load(Ordering::Relaxed);
        (version > 0 && !self.scope.is_everything()).then_some((version, &self.scope_digest))
    }

    /// The configured ABIs.
    pub(crate) fn abis(&self) -> &Abis {
        &self.abis
    }

    /// Records the contracts that factories created in a block, before it is decoded.
    pub(crate) fn discover(&self, block: &BlockData) -> u64 {
        let logs = block.logs.iter();
        let logs = logs.map(|log| (log.address, log.topics(), block.log_data(log)));
        self.abis.discover(block.header.number, logs)
    }

    pub(crate) fn chain(&self) -> &str {
        &self.chain
    }

    pub(crate) fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Contracts of a block's ERC-20 transfers that are not on the list of tokens, each once.
    pub(crate) fn unlisted_tokens(&self, block: &BlockData) -> Vec<Address> {
        let mut seen = HashSet::new();
        let transfers = block
            .logs
            .iter()
            .filter(|log| matches!(log.topics(), [known::TRANSFER, _, _]) && log.data.len() == 32);
        transfers
            .map(|log| log.address)
            .filter(|token| self.assets.of(token).is_none() && self.scope.has_contract(token))
            .filter(|token| seen.insert(*token))
            .collect()
    }

    /// All events of a block that are in the scope, in the order of its transactions, each transaction's own first, then
    /// payments inside it, then those of its logs.
    pub(crate) fn decode(
        &self,
        block: &BlockData,
        context: &BlockContext,
        sink: &mut impl FnMut(Event),
    ) {
        self.decode_all(block, context, &mut |event: Event| {
            if self.scope.wants(&event) {
                sink(event);
            }
        });
    }

    /// All events of a block, whatever the scope.
    pub(crate) fn decode_all(
        &self,
        block: &BlockData,
        context: &BlockContext,
        sink: &mut impl FnMut(Event),
    ) {
        let decoding = Decoding { decoder: self, block, context };
        let mut logs = block.logs.iter().peekable();
        let mut payments = block.payments.iter().peekable();
        for (index, transaction) in block.transactions.iter().enumerate() {
            let decoded = caught(|| {
                if decoding.wants(transaction) {
                    sink(decoding.own_event(index as u32, transaction));
                }
                decoding.transaction(index as u32, transaction, sink);
                while let Some(payment) = payments.next_if(|one| one.tx_index as usize == index) {
                    sink(decoding.internal_transfer(transaction, payment));
                }
            });
            if decoded.is_none() {
                decoding.note_failure(&transaction.hash, None);
            }
            while let Some(log) = logs.next_if(|log| log.tx_index as usize <= index) {
                decoding.log_or_raw(log, sink);
            }
        }
        for log in logs {
            decoding.log_or_raw(log, sink);
        }
    }
}

/// Runs `decode`; `None` if it panicked: a bug of ours, which must not stop the chain.
fn caught(decode: impl FnOnce()) -> Option<()> {
    // A panic leaves at most an unreferenced end of a buffer and incomplete metrics behind.
    catch_unwind(AssertUnwindSafe(decode)).ok()
}

impl Decoding<'_> {
    /// Decodes a log; if its decoder panics it is published raw, so that it is not lost and does not block the chain.
    fn log_or_raw(&self, log: &LogRecord, sink: &mut impl FnMut(Event)) {
        if caught(|| self.log(log, sink)).is_none() {
            self.note_failure(&log.tx_hash, Some(log.log_index));
            sink(self.raw_log(log, Some(FAILED)));
        }
    }

    fn note_failure(&self, tx_hash: &B256, log_index: Option<u32>) {
        self.decoder.metrics.oddity(FAILED);
        tracing::error!(
            chain = self.decoder.chain,
            block = self.block.header.number,
            transaction = %tx_hash,
            log_index,
            "a decoder panicked, please report it with block and transaction; a log is published raw, other events of the transaction are missing"
        );
    }

    /// The price of an asset at the block's time.
    fn price_of(&self, asset: &str) -> Option<&Price> {
        self.context.prices.of(asset, self.block.header.time_us())
    }

    /// The transaction of a log, if the endpoint returned it.
    fn transaction_of(&self, log: &LogRecord) -> Option<&Transaction> {
        self.block
            .transactions
            .get(log.tx_index as usize)
            .filter(|transaction| transaction.hash == log.tx_hash)
    }
}

/// Builds an event's body: the fields of the block, of the transaction and of the log, then its own; `between` for kinds
/// that say what is known of their two sides.
macro_rules! body {
    (@block $scope:ident, $kind:ident, $id:expr, { $($fields:tt)* }) => {
        crypto_intel_schemas::$kind {
            kind: crypto_intel_schemas::Kind::$kind,
            version: crypto_intel_schemas::Kind::$kind.version(),
            id: $id,
            source: "evm".to_owned(),
            event_at_us: $scope.block.header.time_us(),
            observed_at_us: $scope.context.observed_at_us,
            chain: $scope.decoder.chain.clone(),
            chain_id: $scope.decoder.chain_id,
            block_number: $scope.block.header.number,
            block_hash: $scope.block.header.hash,
            block_time_us: $scope.block.header.time_us(),
            removed: $scope.context.incarnation % 2 == 0,
            incarnation: $scope.context.incarnation,
            watched: Vec::new(),
            $($fields)*
        }
    };
    ($level:ident between $scope:ident, $of:expr, $which:expr, $kind:ident { $($fields:tt)* }) => {
        $crate::decode::body!($level $scope, $of, $which, $kind {
            from_label: None,
            to_label: None,
            from_tags: Vec::new(),
            to_tags: Vec::new(),
            $($fields)*
        })
    };
    (tx $scope:ident, $tx_index:expr, $transaction:expr, $kind:ident { $($fields:tt)* }) => {{
        let transaction: &crate::block::Transaction = $transaction;
        let id = crypto_intel_schemas::transaction_event_id(
            &$scope.decoder.chain,
            &$scope.block.header.hash,
            crypto_intel_schemas::Kind::$kind,
            $tx_index,
            None,
        );
        $crate::decode::body!(@block $scope, $kind, id, {
            tx_hash: transaction.hash,
            tx_index: $tx_index,
            tx_from: transaction.from,
            tx_to: transaction.to,
            method: transaction.method,
            $($fields)*
        })
    }};
    (log $scope:ident, $log:expr, $sub_index:expr, $kind:ident { $($fields:tt)* }) => {{
        let log: &crate::block::LogRecord = $log;
        let sub_index: Option<u32> = $sub_index;
        let transaction = $scope.transaction_of(log);
        let id = crypto_intel_schemas::log_event_id(
            &$scope.decoder.chain,
            &$scope.block.header.hash,
            crypto_intel_schemas::Kind::$kind,
            log.log_index,
            sub_index,
        );
        $crate::decode::body!(@block $scope, $kind, id, {
            tx_hash: log.tx_hash,
            tx_index: log.tx_index,
            tx_from: transaction.and_then(|transaction| transaction.from),
            tx_to: transaction.and_then(|transaction| transaction.to),
            method: transaction.and_then(|transaction| transaction.method),
            log_index: log.log_index,
            address: log.address,
            sub_index,
            $($fields)*
        })
    }};
}
pub(crate) use body;

#[cfg(test)]
mod dex_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
