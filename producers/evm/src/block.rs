//! A block as the pipeline needs it: internally consistent, in fixed-size fields, without JSON.

use std::ops::Range;

use crypto_intel_schemas::{
    AccountAddress, Address, B256, BlockRef, CallType, FixedBytes, TransactionStatus, U256,
};

use crate::{
    details::{Details, Paid},
    enrich::watch::WatchView,
};

/// A block, its transactions and its logs.
#[derive(Debug, Clone)]
pub(crate) struct BlockData {
    pub(crate) header: Header,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) logs: Vec<LogRecord>,
    /// All logs' data, one after the other.
    pub(crate) data: Vec<u8>,
    /// Payments inside contracts, in the order of their transactions; none where the chain is
    /// followed without traces.
    pub(crate) payments: Vec<InternalPayment>,
    /// Checks that could not be made or did not hold.
    pub(crate) unverified: Vec<String>,
}

/// What is kept of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    /// Seconds since 1970.
    pub(crate) timestamp: u64,
    pub(crate) gas_used: u64,
    pub(crate) gas_limit: u64,
    pub(crate) base_fee_per_gas: Option<U256>,
    pub(crate) miner: Option<Address>,
    /// Whether the bloom filter says that there are logs.
    pub(crate) has_bloom: bool,
    /// Whether the hash is that of the header's fields.
    pub(crate) hash_holds: bool,
}

/// What is kept of a transaction and its receipt.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) hash: B256,
    pub(crate) from: Option<Address>,
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) method: Option<FixedBytes<4>>,
    pub(crate) input_length: usize,
    pub(crate) status: TransactionStatus,
    /// The contract that it created, by its receipt.
    pub(crate) contract: Option<Address>,
    /// Without a receipt it is unknown whether it took effect.
    pub(crate) has_receipt: bool,
    /// What only its own event says.
    pub(crate) details: Details,
}

/// One log; its data is a range of [`BlockData::data`].
#[derive(Debug, Clone)]
pub(crate) struct LogRecord {
    pub(crate) address: Address,
    pub(crate) topics: [B256; 4],
    pub(crate) topic_count: usize,
    pub(crate) data: Range<usize>,
    pub(crate) tx_hash: B256,
    pub(crate) tx_index: u32,
    pub(crate) log_index: u32,
}

/// Native value that moved inside a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalPayment {
    pub(crate) tx_index: u32,
    /// Which of the transaction's payments, from 0.
    pub(crate) sub_index: u32,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) call_type: CallType,
    /// Place in the transaction's tree of calls; never empty.
    pub(crate) trace_address: Vec<u32>,
}

/// Result of a transaction, by its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: TransactionStatus,
    /// The contract that it created.
    pub(crate) contract: Option<Address>,
    /// What it cost.
    pub(crate) paid: Paid,
}

impl BlockData {
    pub(crate) fn log_data(&self, log: &LogRecord) -> &[u8] {
        self.data.get(log.data.clone()).unwrap_or_default()
    }
}

impl LogRecord {
    pub(crate) fn topics(&self) -> &[B256] {
        self.topics.get(..self.topic_count).unwrap_or_default()
    }
}

impl Header {
    /// The fields that link it to its parent.
    pub(crate) fn link(&self) -> crypto_intel_chain::header::Header {
        let parent = BlockRef { number: self.number.saturating_sub(1), hash: self.parent_hash };
        crypto_intel_chain::header::Header { number: self.number, hash: self.hash, parent }
    }

    /// The block's own time, microseconds; saturates on a hostile timestamp.
    pub(crate) fn time_us(&self) -> i64 {
        i64::try_from(self.timestamp).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }
}

impl Transaction {
    /// A transaction of which only the hash is known.
    pub(crate) fn of_hash(hash: B256) -> Self {
        Self {
            hash,
            from: None,
            to: None,
            value: U256::ZERO,
            method: None,
            input_length: 0,
            status: TransactionStatus::Unknown,
            contract: None,
            has_receipt: false,
            details: Details::default(),
        }
    }

    /// Applies its receipt.
    pub(crate) fn take(&mut self, outcome: &Outcome) {
        self.status = outcome.status;
        self.contract = outcome.contract;
        self.details.paid = outcome.paid;
        self.has_receipt = true;
    }

    /// Whether its sender, its recipient, its created contract or what its authorizations delegate to is watched.
    pub(crate) fn is_of(&self, watched: &WatchView) -> bool {
        if watched.is_empty() {
            return false;
        }
        let delegates = self.details.lists.iter().flat_map(|lists| lists.delegated_to.iter());
        let mut own = [&self.from, &self.to, &self.contract].into_iter().flatten().chain(delegates);
        own.any(|one| watched.has(&AccountAddress::from(*one)))
    }

    /// Whether it is an event itself if it succeeded: a contract creation or a native transfer.
    pub(crate) fn may_be_event(&self) -> bool {
        self.to.is_none() || !self.value.is_zero()
    }
}
