//! JSON-RPC answers to a [`BlockData`]: our own lenient types, with only the fields that we need,
//! so that new transaction types and missing fields of other chains do not matter.

mod proof;
mod raw;

use crypto_intel_schemas::{Address, FixedBytes, TransactionStatus, U256};
use serde::Deserialize;

use self::{
    proof::Proven,
    raw::{RawBlock, RawHeader, RawLog, RawReceipt, RawTransaction},
};
use crate::{
    block::{BlockData, Header, LogRecord, Transaction},
    config::ChainConfig,
    hex::{self, Hex},
    log_proof::LogProof,
};

/// No chain gets there, and nothing that is computed with a number up to here overflows.
const MAX_NUMBER: u64 = 1 << 53;

/// What is verified beyond hashes and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checks {
    /// How the logs are proven to be all logs of the block.
    pub(crate) logs: LogProof,
    /// How they should be, by configuration.
    pub(crate) wanted: LogProof,
    /// Log indexes must be 0, 1, 2, …
    pub(crate) log_indexes: bool,
}

/// Why an answer cannot be the block. Tried again, on another endpoint where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untrue {
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
        "log indexes of block {number} are not a row from 0: {found} where {expected} should be"
    )]
    LogIndex { number: u64, expected: u32, found: u32 },
}

impl Checks {
    pub(crate) fn of(config: &ChainConfig) -> Self {
        Self { log_indexes: config.check_log_indexes, ..Self::strict(config.check_logs) }
    }

    pub(crate) const fn strict(logs: LogProof) -> Self {
        Self { logs, wanted: logs, log_indexes: true }
    }
}

impl Untrue {
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
pub(crate) fn read_header(text: &str) -> Result<Option<Header>, Untrue> {
    let raw: Option<RawHeader> = parse("header", text)?;
    let header = raw.map(|raw| raw.header());
    match header {
        Some(header) if header.number > MAX_NUMBER => Err(Untrue::Malformed {
            what: "header",
            reason: format!("no chain has a block {}", header.number),
        }),
        header => Ok(header),
    }
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, Untrue> {
    serde_json::from_str(text)
        .map_err(|error| Untrue::Malformed { what, reason: error.to_string() })
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
) -> Result<BlockData, Untrue> {
    let raw: RawBlock<'_> = parse("block", block)?;
    let mut assembly = Assembly::new(header, &raw.transactions)?;
    match logs {
        LogsAnswer::Receipts(text) => {
            let receipts: Vec<RawReceipt<'_>> =
                parse::<Option<Vec<RawReceipt<'_>>>>("receipts", text)?.unwrap_or_default();
            let proven = assembly.add_receipts(&receipts)?;
            assembly.prove(&raw, Some(&proven), checks)?;
        }
        LogsAnswer::Logs(text) => {
            let raw_logs: Vec<RawLog<'_>> = parse("logs", text)?;
            for log in &raw_logs {
                let tx_index = log.transaction_index.map_or(0, |index| index.0);
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
    fn new(header: Header, raw: &[RawTransaction<'_>]) -> Result<Self, Untrue> {
        let mut transactions = Vec::with_capacity(raw.len() + 1);
        for transaction in raw {
            let input = transaction.input.unwrap_or("0x");
            let (method, input_length) =
                hex::prefix::<4>(input).ok_or_else(|| Untrue::Malformed {
                    what: "block",
                    reason: "input of a transaction is no hex text".to_owned(),
                })?;
            transactions.push(Transaction {
                hash: transaction.hash.0,
                from: transaction.from.map(|from| from.0),
                to: transaction.to.map(|to| to.0),
                value: transaction.value.map_or(U256::ZERO, |value| value.0),
                method: method.map(FixedBytes),
                input_length,
                nonce: transaction.nonce.map_or(0, |nonce| nonce.0),
                status: TransactionStatus::Unknown,
                contract: None,
            });
        }
        let (logs, data, unverified) = (Vec::new(), Vec::new(), Vec::new());
        let payments = Vec::new();
        Ok(Self { block: BlockData { header, transactions, logs, data, payments, unverified } })
    }

    fn add_receipts<'a>(
        &mut self,
        receipts: &'a [RawReceipt<'a>],
    ) -> Result<Vec<Proven<'a>>, Untrue> {
        let number = self.block.header.number;
        self.add_state_sync(receipts);
        let transactions = self.block.transactions.len();
        if transactions != receipts.len() {
            return Err(Untrue::Count { number, transactions, receipts: receipts.len() });
        }
        self.block.logs.reserve(receipts.iter().map(|receipt| receipt.logs.len()).sum());
        let mut proven = Vec::with_capacity(receipts.len());
        for (index, receipt) in receipts.iter().enumerate() {
            if receipt.block_hash.is_some_and(|hash| hash.0 != self.block.header.hash) {
                return Err(Untrue::OtherBlock { what: "receipts", number });
            }
            let transaction = &mut self.block.transactions[index];
            let elsewhere =
                receipt.transaction_index.is_some_and(|place| place.0 as usize != index);
            if elsewhere || receipt.transaction_hash.0 != transaction.hash {
                return Err(Untrue::Place { number, index });
            }
            transaction.status = status(receipt);
            transaction.contract = receipt.contract_address.map(|contract| contract.0);
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
    ) -> Result<(), Untrue> {
        let has_logs = !self.block.logs.is_empty() || !self.block.header.has_bloom;
        let mut made = checks.logs;
        loop {
            let holds = match made {
                LogProof::ReceiptsRoot => receipts
                    .zip(raw.receipts_root)
                    .and_then(|(receipts, Hex(root))| proof::has_root(&self.block, receipts, root)),
                LogProof::Bloom => {
                    raw.logs_bloom.and_then(|text| proof::has_bloom(&self.block, text))
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

    fn unproven(&self, proof: LogProof) -> Untrue {
        let number = self.block.header.number;
        match proof {
            LogProof::ReceiptsRoot => Untrue::ReceiptsRoot { number },
            LogProof::Bloom => Untrue::Bloom { number, logs: self.block.logs.len() },
            LogProof::Presence | LogProof::Off => Untrue::Empty { number },
        }
    }

    /// Polygon's state-sync record may be among the receipts only.
    fn add_state_sync(&mut self, receipts: &[RawReceipt<'_>]) {
        let [.., last] = receipts else { return };
        let is_zero = |address: Option<Hex<Address>>| address.is_none_or(|found| found.0.is_zero());
        let missing = receipts.len() == self.block.transactions.len() + 1;
        if missing && is_zero(last.from) && is_zero(last.to) {
            self.block.transactions.push(Transaction {
                hash: last.transaction_hash.0,
                from: Some(Address::ZERO),
                to: Some(Address::ZERO),
                value: U256::ZERO,
                method: None,
                input_length: 0,
                nonce: 0,
                status: TransactionStatus::Unknown,
                contract: None,
            });
        }
    }

    fn add_log(&mut self, log: &RawLog<'_>, tx_index: u32) -> Result<(), Untrue> {
        if log.block_hash.is_some_and(|hash| hash.0 != self.block.header.hash) {
            return Err(Untrue::OtherBlock { what: "logs", number: self.block.header.number });
        }
        let start = self.block.data.len();
        let length = hex::append(log.data, &mut self.block.data).ok_or_else(|| {
            Untrue::Malformed { what: "logs", reason: "data of a log is no hex text".to_owned() }
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

    fn finish(mut self, checks: Checks) -> Result<BlockData, Untrue> {
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
            return Err(Untrue::LogIndex { number, expected, found });
        }
        // Ids are made of log indexes: they must be unique within the block.
        for (index, log) in self.block.logs.iter_mut().enumerate() {
            log.log_index = index as u32;
        }
        self.block.unverified.push("log_indexes".to_owned());
        Ok(self.block)
    }
}

/// Before Byzantium receipts have a state root; what some nodes add as status there is not true.
fn status(receipt: &RawReceipt<'_>) -> TransactionStatus {
    let has_root = receipt.root.is_some_and(|root| root.len() == 66);
    match receipt.status {
        _ if has_root => TransactionStatus::Unknown,
        Some(Hex(0)) => TransactionStatus::Failed,
        Some(Hex(_)) => TransactionStatus::Success,
        None => TransactionStatus::Unknown,
    }
}
