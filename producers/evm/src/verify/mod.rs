//! Turns JSON-RPC answers into a [`BlockData`], by our own lenient types with only the fields that we need, so that new
//! transaction types and missing fields of other chains do not matter.

mod checks;
mod details;
mod filtered;
mod header;
mod invalid_response;
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

pub(crate) use self::{
    checks::{Checks, Demand},
    filtered::HeaderPart,
    invalid_response::{HEADER_HASH, InvalidResponse, TRANSACTIONS_ROOT},
    receipt::read_outcome,
};
use self::{
    header::RawHeader,
    lenient::Lenient,
    level::LogProof,
    proof::{Proven, ReceiptsRoot},
    raw::{RawBlock, RawLog, RawReceipt, RawTransaction},
};
use crate::{
    block::{BlockData, Header, LogRecord, Transaction},
    hex,
};

/// Maximum block number: no chain reaches it, and nothing that is computed with a number up to it overflows.
const MAX_NUMBER: u64 = 1 << 53;

/// In `unverified` of a block whose logs were renumbered.
pub(crate) const RENUMBERED: &str = "log_indexes";

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

/// Assembles a block and checks that its parts are consistent.
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

/// Whether the last transaction is Polygon's record of state sync, which the chain counts as none.
fn is_state_sync(header: &Header, last: &Transaction) -> bool {
    let is_zero = |address: Option<Address>| address.is_none_or(|found| found.is_zero());
    is_zero(last.from) && is_zero(last.to) && last.hash == proof::state_sync_hash(header)
}

#[derive(Debug)]
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
                details: details::details_of(transaction),
                ..Transaction::of_hash(transaction.hash.0)
            });
        }
        if let Some(last) = transactions.last_mut() {
            last.details.is_whole = !is_state_sync(&header, last);
        }
        let (logs, data, unverified) = (Vec::new(), Vec::new(), Vec::new());
        let payments = Vec::new();
        Self { block: BlockData { header, transactions, logs, data, payments, unverified } }
    }

    /// Notes where the header does not match its hash although that was demanded.
    fn note_header(&mut self, checks: Checks) {
        if checks.header != Demand::Off && !self.block.header.hash_holds {
            self.block.unverified.push(HEADER_HASH.to_owned());
        }
    }

    /// Checks that header and transactions match the block's hash.
    fn prove_transactions(
        &mut self,
        raw: &RawBlock<'_>,
        checks: Checks,
    ) -> Result<(), InvalidResponse> {
        self.note_header(checks);
        let unverified = &mut self.block.unverified;
        let header = &self.block.header;
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

    /// Checks that no log is missing, as strictly as demanded. A check that cannot be made, because the node omits a
    /// field, is replaced by the next weaker one; the missing check is named in `unverified`.
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
        // Logs without receipts are marked already.
        let is_next_best = receipts.is_none() && made == LogProof::Bloom;
        if made < checks.wanted && !is_next_best {
            self.block.unverified.push(checks.wanted.name().to_owned());
        } else if made == LogProof::Off && !has_logs {
            self.block.unverified.push(LogProof::Bloom.name().to_owned());
        }
        Ok(())
    }

    fn has_root(&mut self, receipts: &[Proven<'_>], root: B256, checks: Checks) -> Option<bool> {
        let found = proof::receipts_root(&self.block, receipts, root);
        if matches!(found, ReceiptsRoot::OfStatus | ReceiptsRoot::OfStateRoot) {
            self.take_proven_gas(receipts);
        }
        match found {
            ReceiptsRoot::OfStatus => Some(true),
            ReceiptsRoot::OfStateRoot => {
                // Some nodes invent a status for these receipts.
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

    /// The root proves the gas that was used up to each transaction, and by that the gas of each.
    fn take_proven_gas(&mut self, receipts: &[Proven<'_>]) {
        let mut before = 0;
        for (transaction, proven) in self.block.transactions.iter_mut().zip(receipts) {
            let Some(up_to) = proven.receipt.cumulative_gas_used.get() else { return };
            // The record of state sync counts no gas.
            if let Some(used) = up_to.checked_sub(before) {
                transaction.details.paid.gas_used = Some(used);
                before = up_to;
            }
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
        // Event ids contain the log index, which must be unique within the block.
        for (index, log) in self.block.logs.iter_mut().enumerate() {
            log.log_index = index as u32;
        }
        self.block.unverified.push(RENUMBERED.to_owned());
        Ok(self.block)
    }
}
