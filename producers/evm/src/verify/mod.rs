//! JSON-RPC answers to a [`BlockData`]: our own lenient types, with only the fields that we need,
//! so that new transaction types and missing fields of other chains do not matter.

mod header;
mod lenient;
pub(crate) mod level;
mod proof;
mod raw;
mod receipt;
mod rlp;
mod transactions;

#[cfg(test)]
mod tests;

use crypto_intel_schemas::{Address, B256, FixedBytes, TransactionStatus};
use serde::Deserialize;

pub(crate) use self::receipt::read_outcome;
use self::{
    header::RawHeader,
    lenient::Lenient,
    level::LogProof,
    proof::{Proven, ReceiptsRoot},
    raw::{RawBlock, RawLog, RawReceipt, RawTransaction},
};
use crate::{
    block::{BlockData, Header, LogRecord, Transaction},
    config::ChainConfig,
    hex,
};

/// No chain gets there, and nothing that is computed with a number up to here overflows.
const MAX_NUMBER: u64 = 1 << 53;

/// The words for checks in metrics and in `unverified`.
pub(crate) const HEADER_HASH: &str = "header_hash";
pub(crate) const TRANSACTIONS_ROOT: &str = "transactions_root";

/// What is verified beyond hashes and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checks {
    /// How the logs are proven to be all logs of the block.
    pub(crate) logs: LogProof,
    /// How they should be, by configuration.
    pub(crate) wanted: LogProof,
    /// Log indexes must be 0, 1, 2, …
    pub(crate) log_indexes: bool,
    /// The header must have its hash.
    pub(crate) header: Demand,
    /// The transactions must be those of the header; only where that has its hash.
    pub(crate) transactions: Demand,
    /// Below this block the chain's receipts have a state root and no status.
    pub(crate) byzantium: u64,
}

/// What follows from a check that does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    /// It is not made.
    #[default]
    Off,
    /// The block says that it is unverified.
    Noted,
    /// The answer is refused.
    Strict,
}

impl Demand {
    /// After several endpoints failed it alike.
    pub(crate) fn relaxed(self) -> Self {
        match self {
            Self::Strict => Self::Noted,
            other => other,
        }
    }
}

/// Why an answer cannot be the block. It is asked for again, from another endpoint where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidResponse {
    #[error("malformed {what}: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("{what} of block {number} belong to another block")]
    OtherBlock { what: &'static str, number: u64 },
    #[error("block {number} has {transactions} transactions but {receipts} receipts")]
    Count { number: u64, transactions: usize, receipts: usize },
    #[error("receipt {index} of block {number} is not of its transaction")]
    Place { number: u64, index: usize },
    #[error("empty answer for block {number}, which has logs by its bloom filter")]
    Empty { number: u64 },
    #[error("{logs} logs of block {number} do not make its bloom filter: some are missing")]
    Bloom { number: u64, logs: usize },
    #[error(
        "receipts of block {number} do not make its receipts root: logs or receipts are missing"
    )]
    ReceiptsRoot { number: u64 },
    #[error(
        "header of block {number} does not have the hash that it says: it is forged, or has fields that are not known \
         here (then set check_header = false for this chain)"
    )]
    HeaderHash { number: u64 },
    #[error("transactions of block {number} are not those of its header")]
    Transactions { number: u64 },
    #[error(
        "log indexes of block {number} are not a row from 0: {found} where {expected} should be"
    )]
    LogIndex { number: u64, expected: u32, found: u32 },
}

impl Checks {
    pub(crate) fn of(config: &ChainConfig) -> Self {
        let demand = if config.check_header { Demand::Strict } else { Demand::Off };
        Self {
            log_indexes: config.check_log_indexes,
            header: demand,
            transactions: demand,
            byzantium: receipt::byzantium(config.chain_id),
            ..Self::strict(config.check_logs)
        }
    }

    /// Log indexes and all logs; of the header nothing.
    pub(crate) const fn strict(logs: LogProof) -> Self {
        let (header, transactions) = (Demand::Off, Demand::Off);
        Self { logs, wanted: logs, log_indexes: true, header, transactions, byzantium: 0 }
    }

    /// Refuses a header that does not have its hash.
    pub(crate) fn check(self, header: &Header) -> Result<(), InvalidResponse> {
        if self.header == Demand::Strict && !header.hash_holds {
            return Err(InvalidResponse::HeaderHash { number: header.number });
        }
        Ok(())
    }
}

impl InvalidResponse {
    /// The label in metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::OtherBlock { .. } => "other_block",
            Self::Count { .. } => "receipt_count",
            Self::Place { .. } => "receipt_place",
            Self::Empty { .. } => LogProof::Presence.name(),
            Self::Bloom { .. } => LogProof::Bloom.name(),
            Self::ReceiptsRoot { .. } => LogProof::ReceiptsRoot.name(),
            Self::HeaderHash { .. } => HEADER_HASH,
            Self::Transactions { .. } => TRANSACTIONS_ROOT,
            Self::LogIndex { .. } => "log_index",
        }
    }
}

/// Where the logs of a block come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LogsAnswer<'a> {
    /// Answer of `eth_getBlockReceipts`.
    Receipts(&'a str),
    /// Answer of `eth_getLogs` for the block's hash.
    Logs(&'a str),
}

/// Reads a header; `None` when the endpoint does not know the block.
pub(crate) fn read_header(text: &str) -> Result<Option<Header>, InvalidResponse> {
    let raw: Option<RawHeader<'_>> = parse("header", text)?;
    let header = raw.map(|raw| raw.header());
    match header {
        Some(header) if header.number > MAX_NUMBER => Err(InvalidResponse::Malformed {
            what: "header",
            reason: format!("no chain has a block {}", header.number),
        }),
        header => Ok(header),
    }
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, InvalidResponse> {
    serde_json::from_str(text)
        .map_err(|error| InvalidResponse::Malformed { what, reason: error.to_string() })
}

/// Puts a block together and checks it against itself.
///
/// # Errors
/// When the answers cannot be the block of that header.
pub(crate) fn assemble(
    header: Header,
    block: &str,
    logs: LogsAnswer<'_>,
    checks: Checks,
) -> Result<BlockData, InvalidResponse> {
    checks.check(&header)?;
    let raw: RawBlock<'_> = parse("block", block)?;
    let mut assembly = Assembly::new(header, &raw.transactions);
    assembly.prove_transactions(&raw, checks)?;
    match logs {
        LogsAnswer::Receipts(text) => {
            let receipts: Vec<RawReceipt<'_>> =
                parse::<Option<Vec<RawReceipt<'_>>>>("receipts", text)?.unwrap_or_default();
            let proven = assembly.add_receipts(&receipts, checks)?;
            assembly.prove(&raw, Some(&proven), checks)?;
        }
        LogsAnswer::Logs(text) => {
            let raw_logs: Vec<RawLog<'_>> = parse("logs", text)?;
            for log in &raw_logs {
                let tx_index = log.transaction_index.get().unwrap_or(0);
                assembly.add_log(log, tx_index)?;
            }
            assembly.block.unverified.push("receipts".to_owned());
            assembly.prove(&raw, None, checks)?;
        }
    }
    assembly.finish(checks)
}

struct Assembly {
    block: BlockData,
}

impl Assembly {
    fn new(header: Header, raw: &[RawTransaction<'_>]) -> Self {
        let mut transactions = Vec::with_capacity(raw.len() + 1);
        for transaction in raw {
            let input = transaction.input.get().and_then(hex::prefix::<4>);
            let (method, input_length) = input.unwrap_or_default();
            transactions.push(Transaction {
                from: transaction.from.get(),
                to: transaction.to.0,
                value: transaction.value.0.unwrap_or_default(),
                method: method.map(FixedBytes),
                input_length,
                ..Transaction::of_hash(transaction.hash.0)
            });
        }
        let (logs, data, unverified) = (Vec::new(), Vec::new(), Vec::new());
        let payments = Vec::new();
        Self { block: BlockData { header, transactions, logs, data, payments, unverified } }
    }

    /// Whether header and transactions are what the block's hash is of.
    fn prove_transactions(
        &mut self,
        raw: &RawBlock<'_>,
        checks: Checks,
    ) -> Result<(), InvalidResponse> {
        let unverified = &mut self.block.unverified;
        let header = &self.block.header;
        if checks.header != Demand::Off && !header.hash_holds {
            unverified.push(HEADER_HASH.to_owned());
        }
        if checks.transactions == Demand::Off || !header.hash_holds {
            return Ok(());
        }
        let outside = || proof::state_sync_hash(header);
        match transactions::prove(&raw.transactions, raw.transactions_root.get(), outside) {
            transactions::Proof::Holds => {}
            transactions::Proof::Fails if checks.transactions == Demand::Strict => {
                return Err(InvalidResponse::Transactions { number: header.number });
            }
            transactions::Proof::Fails | transactions::Proof::Incomplete => {
                unverified.push(TRANSACTIONS_ROOT.to_owned());
            }
        }
        Ok(())
    }

    fn add_receipts<'a>(
        &mut self,
        receipts: &'a [RawReceipt<'a>],
        checks: Checks,
    ) -> Result<Vec<Proven<'a>>, InvalidResponse> {
        let number = self.block.header.number;
        self.add_state_sync(receipts);
        let transactions = self.block.transactions.len();
        if transactions != receipts.len() {
            return Err(InvalidResponse::Count { number, transactions, receipts: receipts.len() });
        }
        self.block.logs.reserve(receipts.iter().map(|receipt| receipt.logs.len()).sum());
        let mut proven = Vec::with_capacity(receipts.len());
        for (index, receipt) in receipts.iter().enumerate() {
            if receipt.block_hash.get().is_some_and(|hash| hash != self.block.header.hash) {
                return Err(InvalidResponse::OtherBlock { what: "receipts", number });
            }
            let transaction = &mut self.block.transactions[index];
            let elsewhere =
                receipt.transaction_index.get().is_some_and(|place| place as usize != index);
            if elsewhere || receipt.transaction_hash.0 != transaction.hash {
                return Err(InvalidResponse::Place { number, index });
            }
            transaction.take(&receipt::outcome_of(receipt, number < checks.byzantium));
            let first = self.block.logs.len();
            for log in &receipt.logs {
                self.add_log(log, index as u32)?;
            }
            proven.push(Proven { receipt, logs: first..self.block.logs.len() });
        }
        Ok(proven)
    }

    /// Whether these are all logs, as strictly as asked. A check that cannot be made, because the node leaves out what
    /// it needs, gives way to the next weaker one; that is named in `unverified`.
    fn prove(
        &mut self,
        raw: &RawBlock<'_>,
        receipts: Option<&[Proven<'_>]>,
        checks: Checks,
    ) -> Result<(), InvalidResponse> {
        let has_logs = !self.block.logs.is_empty() || !self.block.header.has_bloom;
        let mut made = checks.logs;
        loop {
            let holds = match made {
                LogProof::ReceiptsRoot => receipts
                    .zip(raw.receipts_root.get())
                    .and_then(|(receipts, root)| self.has_root(receipts, root, checks)),
                LogProof::Bloom => {
                    raw.logs_bloom.get().and_then(|text| proof::has_bloom(&self.block, text))
                }
                LogProof::Presence => Some(has_logs),
                LogProof::Off => Some(true),
            };
            match holds {
                Some(true) => break,
                Some(false) => return Err(self.unproven(made)),
                None => made = made.weaker(),
            }
        }
        // That logs came without receipts is said already.
        let is_next_best = receipts.is_none() && made == LogProof::Bloom;
        if made < checks.wanted && !is_next_best {
            self.block.unverified.push(checks.wanted.name().to_owned());
        } else if made == LogProof::Off && !has_logs {
            self.block.unverified.push(LogProof::Bloom.name().to_owned());
        }
        Ok(())
    }

    fn has_root(&mut self, receipts: &[Proven<'_>], root: B256, checks: Checks) -> Option<bool> {
        match proof::receipts_root(&self.block, receipts, root) {
            ReceiptsRoot::OfStatus => Some(true),
            ReceiptsRoot::OfStateRoot => {
                // What some nodes add as status is not what happened.
                let transactions = self.block.transactions.iter_mut();
                for (transaction, proven) in transactions.zip(receipts) {
                    if proof::state_root(proven.receipt).is_some() {
                        transaction.status = TransactionStatus::Unknown;
                    }
                }
                Some(true)
            }
            ReceiptsRoot::Other => {
                let lacks_state_root =
                    || receipts.iter().any(|proven| proof::state_root(proven.receipt).is_none());
                // Some nodes give a status in place of the state roots of old receipts.
                let is_old = self.block.header.number < checks.byzantium;
                if is_old && lacks_state_root() { None } else { Some(false) }
            }
            ReceiptsRoot::Unknown => None,
        }
    }

    fn unproven(&self, proof: LogProof) -> InvalidResponse {
        let number = self.block.header.number;
        match proof {
            LogProof::ReceiptsRoot => InvalidResponse::ReceiptsRoot { number },
            LogProof::Bloom => InvalidResponse::Bloom { number, logs: self.block.logs.len() },
            LogProof::Presence | LogProof::Off => InvalidResponse::Empty { number },
        }
    }

    /// Polygon's state-sync record may be among the receipts only.
    fn add_state_sync(&mut self, receipts: &[RawReceipt<'_>]) {
        let [.., last] = receipts else { return };
        let is_zero = |address: Lenient<Address>| address.get().is_none_or(|found| found.is_zero());
        let missing = receipts.len() == self.block.transactions.len() + 1;
        if missing && is_zero(last.from) && is_zero(last.to) {
            self.block.transactions.push(Transaction {
                from: Some(Address::ZERO),
                to: Some(Address::ZERO),
                ..Transaction::of_hash(last.transaction_hash.0)
            });
        }
    }

    fn add_log(&mut self, log: &RawLog<'_>, tx_index: u32) -> Result<(), InvalidResponse> {
        if log.block_hash.get().is_some_and(|hash| hash != self.block.header.hash) {
            return Err(InvalidResponse::OtherBlock {
                what: "logs",
                number: self.block.header.number,
            });
        }
        let start = self.block.data.len();
        let length = hex::append(log.data, &mut self.block.data).ok_or_else(|| {
            InvalidResponse::Malformed {
                what: "logs",
                reason: "data of a log is no hex text".to_owned(),
            }
        })?;
        self.block.logs.push(LogRecord {
            address: log.address.0,
            topics: log.topics.topics,
            topic_count: log.topics.count,
            data: start..start + length,
            tx_hash: log.transaction_hash.0,
            tx_index,
            log_index: log.log_index.0,
        });
        Ok(())
    }

    fn finish(mut self, checks: Checks) -> Result<BlockData, InvalidResponse> {
        let number = self.block.header.number;
        let odd = self
            .block
            .logs
            .iter()
            .enumerate()
            .find(|(index, log)| log.log_index as usize != *index)
            .map(|(index, log)| (index as u32, log.log_index));
        let Some((expected, found)) = odd else { return Ok(self.block) };
        if checks.log_indexes {
            return Err(InvalidResponse::LogIndex { number, expected, found });
        }
        // Ids are made of log indexes: they must be unique within the block.
        for (index, log) in self.block.logs.iter_mut().enumerate() {
            log.log_index = index as u32;
        }
        self.block.unverified.push("log_indexes".to_owned());
        Ok(self.block)
    }
}
