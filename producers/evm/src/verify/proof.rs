//! Checks that an answer has all logs of the block, by the header's commitments to them.

use std::ops::Range;

use alloy_primitives::{Bloom, BloomInput, keccak256};
use alloy_rlp::{BufMut, Encodable, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_with_encoder;
use crypto_intel_schemas::B256;

use super::raw::RawReceipt;
use crate::{
    block::{BlockData, Header, LogRecord},
    hex,
};

/// Transaction type of deposits on chains of the OP stack.
const DEPOSIT: u64 = 0x7e;

/// A receipt and the positions of its logs in the block.
#[derive(Debug)]
pub(super) struct Proven<'a> {
    pub(super) receipt: &'a RawReceipt<'a>,
    pub(super) logs: Range<usize>,
}

/// What a block's receipts root is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReceiptsRoot {
    /// These receipts, with their status.
    OfStatus,
    /// These receipts, with the state root that they had before Byzantium.
    OfStateRoot,
    /// Other receipts.
    Other,
    /// A receipt lacks a field that the root is computed from.
    Unknown,
}

/// Whether receipts and logs have this Merkle root, as the yellow paper and EIP-2718 define it.
pub(super) fn receipts_root(
    block: &BlockData,
    receipts: &[Proven<'_>],
    root: B256,
) -> ReceiptsRoot {
    let blooms: Option<Vec<[u8; 256]>> =
        receipts.iter().map(|proven| bloom_of(block, proven)).collect();
    let Some(blooms) = blooms else { return ReceiptsRoot::Unknown };
    let every = |is: &dyn Fn(&RawReceipt<'_>) -> bool| receipts.iter().all(|one| is(one.receipt));
    let is_whole = every(&|receipt| {
        receipt.cumulative_gas_used.get().is_some()
            && (receipt.status.0.is_some() || receipt.root.get().is_some())
    });
    if !is_whole {
        return ReceiptsRoot::Unknown;
    }
    let items: Vec<_> = receipts.iter().zip(&blooms).collect();
    // Nodes of some chains add a root although the chain's root has the status.
    let has_state_roots = !every(&|receipt| state_root(receipt).is_none());
    if has_state_roots && is_root_of(block, &items, root, true) {
        return ReceiptsRoot::OfStateRoot;
    }
    let has_statuses = every(&|receipt| receipt.status.0.is_some());
    if (has_statuses || !has_state_roots) && is_root_of(block, &items, root, false) {
        return ReceiptsRoot::OfStatus;
    }
    ReceiptsRoot::Other
}

fn is_root_of(
    block: &BlockData,
    items: &[(&Proven<'_>, &[u8; 256])],
    root: B256,
    by_state_root: bool,
) -> bool {
    let of = |items: &[(&Proven<'_>, &[u8; 256])]| {
        ordered_trie_root_with_encoder(items, |(proven, bloom), out| {
            put_receipt(block, proven, (bloom, by_state_root), out);
        })
    };
    if of(items) == root {
        return true;
    }
    // Polygon's record of state sync is returned as a receipt, but was outside the root for most of the chain's
    // history.
    let Some((last, others)) = items.split_last() else { return false };
    let is_outside = last.0.receipt.transaction_hash.0 == state_sync_hash(&block.header);
    is_outside && of(others) == root
}

/// The state root of a receipt, as before Byzantium.
pub(super) fn state_root(receipt: &RawReceipt<'_>) -> Option<[u8; 32]> {
    receipt.root.get().and_then(hex::fixed::<32>).filter(|root| *root != [0; 32])
}

/// Whether the bloom filter is exactly that of the logs. `None` when the text is not a filter.
pub(super) fn has_bloom(block: &BlockData, text: &str) -> Option<bool> {
    let wanted = Bloom::from(read_bloom(text)?);
    if filter(block.logs.iter()) == wanted {
        return Some(true);
    }
    let outside = state_sync_hash(&block.header);
    Some(filter(block.logs.iter().filter(|log| log.tx_hash != outside)) == wanted)
}

/// The transaction hash under which Polygon's nodes answer a block's state sync (bor, `GetDerivedBorTxHash`).
pub(super) fn state_sync_hash(header: &Header) -> B256 {
    let mut key = b"matic-bor-receipt-".to_vec();
    key.extend_from_slice(&header.number.to_be_bytes());
    key.extend_from_slice(header.hash.as_slice());
    keccak256(key)
}

fn filter<'a>(logs: impl Iterator<Item = &'a LogRecord>) -> Bloom {
    let mut bloom = Bloom::ZERO;
    // Most logs repeat values of the ones before: the token, the event, an account. An address hashes differently as a
    // topic, so the length is part of the key.
    let mut seen = [(0, B256::ZERO); 64];
    let mut add = |bytes: &[u8]| {
        let input = (bytes.len(), B256::left_padding_from(bytes));
        let place = usize::from(input.1[31] ^ input.1[12]) % seen.len();
        if seen[place] != input {
            seen[place] = input;
            bloom.accrue(BloomInput::Raw(bytes));
        }
    };
    for log in logs {
        add(log.address.as_slice());
        log.topics().iter().for_each(|topic| add(topic.as_slice()));
    }
    bloom
}

/// The receipt's own filter, computed if the node omits it.
fn bloom_of(block: &BlockData, proven: &Proven<'_>) -> Option<[u8; 256]> {
    match proven.receipt.logs_bloom.get() {
        Some(text) => read_bloom(text),
        None => Some(filter(block.logs[proven.logs.clone()].iter()).into_array()),
    }
}

/// A block's bloom filter; `None` when the text is not one.
pub(super) fn read_filter(text: &str) -> Option<Bloom> {
    read_bloom(text).map(Bloom::from)
}

/// Whether a filter has a log's emitter and topics.
pub(super) fn has_log(bloom: &Bloom, log: &LogRecord) -> bool {
    let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
    has(log.address.as_slice()) && log.topics().iter().all(|topic| has(topic.as_slice()))
}

fn read_bloom(text: &str) -> Option<[u8; 256]> {
    hex::fixed::<256>(text)
}

fn put_receipt(
    block: &BlockData,
    proven: &Proven<'_>,
    (bloom, by_state_root): (&[u8; 256], bool),
    out: &mut Vec<u8>,
) {
    let receipt = proven.receipt;
    let kind = receipt.receipt_type.get().unwrap_or(0);
    if kind != 0 {
        // Types of transactions are one byte.
        out.put_u8(kind as u8);
    }
    let state_root = state_root(receipt).filter(|_| by_state_root);
    let status = receipt.status.0.unwrap_or(0);
    let gas = receipt.cumulative_gas_used.get().unwrap_or(0);
    let extra = match (kind, receipt.deposit_nonce.get(), receipt.deposit_receipt_version.get()) {
        (DEPOSIT, Some(nonce), Some(version)) => Some((nonce, version)),
        _ => None,
    };
    let logs = &block.logs[proven.logs.clone()];
    let logs_length: usize =
        logs.iter().map(|log| log_length(block, log).length_with_payload()).sum();
    let first_length = state_root.as_ref().map_or(status.length(), Encodable::length);
    let payload_length = first_length
        + gas.length()
        + bloom.length()
        + list(logs_length).length_with_payload()
        + extra.map_or(0, |(nonce, version)| nonce.length() + version.length());
    list(payload_length).encode(out);
    match state_root {
        Some(root) => root.encode(out),
        None => status.encode(out),
    }
    gas.encode(out);
    bloom.encode(out);
    list(logs_length).encode(out);
    for log in logs {
        put_log(block, log, out);
    }
    if let Some((nonce, version)) = extra {
        nonce.encode(out);
        version.encode(out);
    }
}

fn put_log(block: &BlockData, log: &LogRecord, out: &mut Vec<u8>) {
    log_length(block, log).encode(out);
    log.address.encode(out);
    list(topics_length(log)).encode(out);
    for topic in log.topics() {
        topic.encode(out);
    }
    block.log_data(log).encode(out);
}

fn log_length(block: &BlockData, log: &LogRecord) -> RlpHeader {
    let topics = list(topics_length(log)).length_with_payload();
    list(log.address.length() + topics + block.log_data(log).length())
}

fn topics_length(log: &LogRecord) -> usize {
    log.topics().iter().map(Encodable::length).sum()
}

const fn list(payload_length: usize) -> RlpHeader {
    RlpHeader { list: true, payload_length }
}
