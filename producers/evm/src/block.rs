//! A block as the pipeline needs it: verified against itself, in fixed bytes, without JSON.

use std::ops::Range;

use alloy_primitives::keccak256;
use crypto_intel_schemas::{Address, B256, CallType, FixedBytes, TransactionStatus, U256};

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
    pub(crate) nonce: u64,
    pub(crate) status: TransactionStatus,
    pub(crate) contract: Option<Address>,
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
    /// The block's own time, microseconds; a hostile timestamp is held at the end of time.
    pub(crate) fn time_us(&self) -> i64 {
        i64::try_from(self.timestamp).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }
}

impl Transaction {
    /// Where the contract of a creation lives: as the receipt says, else computed.
    pub(crate) fn created_contract(&self) -> Option<Address> {
        self.contract.or_else(|| self.from.map(|creator| create_address(&creator, self.nonce)))
    }
}

/// Address of a contract made by a transaction: keccak of RLP `[creator, nonce]`.
fn create_address(creator: &Address, nonce: u64) -> Address {
    let nonce_bytes = nonce.to_be_bytes();
    let significant = &nonce_bytes[(nonce.leading_zeros() / 8) as usize..];
    let mut rlp = Vec::with_capacity(32);
    rlp.push(0x80 + 20);
    rlp.extend_from_slice(creator.as_slice());
    match significant {
        [] => rlp.push(0x80),
        [small] if *small < 0x80 => rlp.push(*small),
        bytes => {
            rlp.push(0x80 + bytes.len() as u8);
            rlp.extend_from_slice(bytes);
        }
    }
    rlp.insert(0, 0xc0 + rlp.len() as u8);
    Address::from_slice(&keccak256(&rlp)[12..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn computes_the_address_of_a_created_contract() {
        // The example that everybody uses, nonces 0 to 3, and a large nonce for the long form.
        let creator: Address = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0".parse().unwrap();
        for (nonce, expected) in [
            (0, "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"),
            (1, "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"),
            (2, "0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91"),
            (3, "0xfffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c"),
        ] {
            assert_eq!(create_address(&creator, nonce), expected.parse::<Address>().unwrap());
        }
    }
}
