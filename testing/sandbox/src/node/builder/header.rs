//! The hash of a block header: keccak of its RLP.

use alloy_primitives::{B256, keccak256};
use anyhow::{Context as _, bail};
use serde_json::Value;

/// Header fields in the order of the RLP; `true`: a quantity. Those from `baseFeePerGas` on may be absent.
const FIELDS: [(&str, bool); 21] = [
    ("parentHash", false),
    ("sha3Uncles", false),
    ("miner", false),
    ("stateRoot", false),
    ("transactionsRoot", false),
    ("receiptsRoot", false),
    ("logsBloom", false),
    ("difficulty", true),
    ("number", true),
    ("gasLimit", true),
    ("gasUsed", true),
    ("timestamp", true),
    ("extraData", false),
    ("mixHash", false),
    ("nonce", false),
    ("baseFeePerGas", true),
    ("withdrawalsRoot", false),
    ("blobGasUsed", true),
    ("excessBlobGas", true),
    ("parentBeaconBlockRoot", false),
    ("requestsHash", false),
];
const REQUIRED_FIELDS: usize = 15;
const PARENT_HASH: usize = 0;
const RECEIPTS_ROOT: usize = 5;
const LOGS_BLOOM: usize = 6;
const NUMBER: usize = 8;
const GAS_USED: usize = 10;
const TIMESTAMP: usize = 11;
const EXTRA_DATA: usize = 12;

/// The fields of a header as bytes.
#[derive(Debug, Clone)]
pub(super) struct Header(Vec<Vec<u8>>);

impl Header {
    /// Reads the header fields of a block object.
    pub(super) fn read(block: &Value) -> anyhow::Result<Self> {
        let mut items = Vec::new();
        for (place, (name, is_quantity)) in FIELDS.into_iter().enumerate() {
            let Some(text) = block[name].as_str() else {
                if place < REQUIRED_FIELDS {
                    bail!("the block has no {name}");
                }
                break;
            };
            let bytes = bytes_of(text).with_context(|| format!("read {name}"))?;
            items.push(if is_quantity { without_leading_zeros(&bytes) } else { bytes });
        }
        Ok(Self(items))
    }

    pub(super) fn set_place(&mut self, parent_hash: B256, number: u64, timestamp: u64) {
        self.0[PARENT_HASH] = parent_hash.to_vec();
        self.0[NUMBER] = without_leading_zeros(&number.to_be_bytes());
        self.0[TIMESTAMP] = without_leading_zeros(&timestamp.to_be_bytes());
    }

    pub(super) fn set_content(
        &mut self,
        receipts_root: B256,
        logs_bloom: &[u8; 256],
        gas_used: u64,
    ) {
        self.0[RECEIPTS_ROOT] = receipts_root.to_vec();
        self.0[LOGS_BLOOM] = logs_bloom.to_vec();
        self.0[GAS_USED] = without_leading_zeros(&gas_used.to_be_bytes());
    }

    pub(super) fn set_extra_data(&mut self, bytes: &[u8]) {
        self.0[EXTRA_DATA] = bytes.to_vec();
    }

    pub(super) fn hash(&self) -> B256 {
        let mut payload = Vec::with_capacity(700);
        for item in &self.0 {
            if let [byte] = item[..]
                && byte < 0x80
            {
                payload.push(byte);
            } else {
                push_length(&mut payload, item.len(), 0x80);
                payload.extend_from_slice(item);
            }
        }
        let mut list = Vec::with_capacity(payload.len() + 4);
        push_length(&mut list, payload.len(), 0xc0);
        list.extend_from_slice(&payload);
        keccak256(list)
    }
}

// RLP: up to 55 bytes the length is in the first byte; above, the first byte counts the bytes of the length.
fn push_length(bytes: &mut Vec<u8>, length: usize, base: u8) {
    if length <= 55 {
        bytes.push(base + length.to_le_bytes()[0]);
    } else {
        let length_bytes = without_leading_zeros(&length.to_be_bytes());
        bytes.push(base + 55 + length_bytes.len().to_le_bytes()[0]);
        bytes.extend(length_bytes);
    }
}

fn without_leading_zeros(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|byte| *byte == 0).collect()
}

fn bytes_of(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits = text.strip_prefix("0x").context("no 0x")?;
    let padded =
        if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    (0..padded.len())
        .step_by(2)
        .map(|at| padded.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect::<Option<_>>()
        .context("not hexadecimal")
}
