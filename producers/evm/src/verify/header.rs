//! The hash of a header: keccak of the RLP of its fields. It proves every other field of the header, including the
//! roots of transactions and receipts.

use alloy_primitives::keccak256;
use alloy_rlp::Encodable as _;
use crypto_intel_schemas::{Address, B256, U256};
use serde::Deserialize;

use super::{
    lenient::{Field, Lenient},
    rlp::{put_bytes, put_fixed, put_list, put_quantity},
};
use crate::{
    block::Header,
    hex::{FromHex, Hex},
};

/// Size of most headers, bytes: the bloom filter and some hashes.
const USUAL_LENGTH: usize = 800;

/// A header, as in `newHeads` and in blocks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHeader<'a> {
    number: Hex<u64>,
    hash: Hex<B256>,
    parent_hash: Hex<B256>,
    timestamp: Hex<u64>,
    #[serde(default, borrow)]
    sha3_uncles: Lenient<&'a str>,
    #[serde(default, borrow)]
    miner: Lenient<&'a str>,
    #[serde(default, borrow)]
    state_root: Lenient<&'a str>,
    #[serde(default, borrow)]
    transactions_root: Lenient<&'a str>,
    #[serde(default, borrow)]
    receipts_root: Lenient<&'a str>,
    #[serde(default, borrow)]
    logs_bloom: Lenient<&'a str>,
    #[serde(default, borrow)]
    difficulty: Lenient<&'a str>,
    #[serde(default, borrow)]
    gas_limit: Lenient<Quantity<'a>>,
    #[serde(default, borrow)]
    gas_used: Lenient<Quantity<'a>>,
    #[serde(default, borrow)]
    extra_data: Lenient<&'a str>,
    #[serde(default, borrow)]
    mix_hash: Lenient<&'a str>,
    #[serde(default, borrow)]
    nonce: Lenient<&'a str>,
    #[serde(default, borrow)]
    base_fee_per_gas: Lenient<Quantity<'a>>,
    #[serde(default, borrow)]
    withdrawals_root: Lenient<&'a str>,
    #[serde(default, borrow)]
    blob_gas_used: Lenient<&'a str>,
    #[serde(default, borrow)]
    excess_blob_gas: Lenient<&'a str>,
    #[serde(default, borrow)]
    parent_beacon_block_root: Lenient<&'a str>,
    #[serde(default, borrow)]
    requests_hash: Lenient<&'a str>,
    #[serde(default, borrow)]
    block_access_list_hash: Lenient<&'a str>,
    #[serde(default, borrow)]
    slot_number: Lenient<&'a str>,
}

/// A number that is published as well as hashed; some nodes write it as a JSON number.
#[derive(Debug, Clone, Copy)]
enum Quantity<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'de: 'a, 'a> Field<'de> for Quantity<'a> {
    fn from_text(_text: &str) -> Option<Self> {
        None
    }

    fn from_borrowed(text: &'de str) -> Option<Self> {
        Some(Self::Text(text))
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self::Number(number))
    }
}

impl Quantity<'_> {
    fn value(self) -> Option<U256> {
        match self {
            Self::Text(text) => U256::from_hex(text),
            Self::Number(number) => Some(U256::from(number)),
        }
    }

    fn put(self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Text(text) => put_quantity(text, out),
            Self::Number(number) => {
                number.encode(out);
                Some(())
            }
        }
    }
}

impl RawHeader<'_> {
    pub(super) fn header(&self) -> Header {
        let quantity = |field: Lenient<Quantity<'_>>| field.get().and_then(Quantity::value);
        // Some chains say "no limit" with a number beyond 64 bits.
        let clamped = |value: U256| u64::try_from(value).unwrap_or(u64::MAX);
        let bloom = self.logs_bloom.get().unwrap_or_default();
        Header {
            number: self.number.0,
            hash: self.hash.0,
            parent_hash: self.parent_hash.0,
            timestamp: self.timestamp.0,
            gas_used: quantity(self.gas_used).map_or(0, clamped),
            gas_limit: quantity(self.gas_limit).map_or(0, clamped),
            base_fee_per_gas: quantity(self.base_fee_per_gas),
            miner: self.miner.get().and_then(Address::from_hex),
            has_bloom: bloom.bytes().skip(2).any(|digit| digit != b'0'),
            hash_holds: self.computed_hash() == Some(self.hash.0),
        }
    }

    /// `None` if a field that every header has is missing.
    fn computed_hash(&self) -> Option<B256> {
        let mut rlp = Vec::with_capacity(USUAL_LENGTH);
        put_list(&mut rlp, |out| {
            self.parent_hash.0.encode(out);
            put_fixed::<32>(self.sha3_uncles.get()?, out)?;
            put_fixed::<20>(self.miner.get()?, out)?;
            put_fixed::<32>(self.state_root.get()?, out)?;
            put_fixed::<32>(self.transactions_root.get()?, out)?;
            put_fixed::<32>(self.receipts_root.get()?, out)?;
            put_fixed::<256>(self.logs_bloom.get()?, out)?;
            put_quantity(self.difficulty.get()?, out)?;
            self.number.0.encode(out);
            self.gas_limit.get()?.put(out)?;
            self.gas_used.get()?.put(out)?;
            self.timestamp.0.encode(out);
            put_bytes(self.extra_data.get()?, out)?;
            put_fixed::<32>(self.mix_hash.get()?, out)?;
            put_fixed::<8>(self.nonce.get()?, out)?;
            self.put_later_fields(out)
        })?;
        Some(keccak256(rlp))
    }

    /// Fields that later forks added, in their order: if one is absent, so are those after it.
    fn put_later_fields(&self, out: &mut Vec<u8>) -> Option<()> {
        let Some(base_fee) = self.base_fee_per_gas.get() else { return Some(()) };
        base_fee.put(out)?;
        let Some(withdrawals_root) = self.withdrawals_root.get() else { return Some(()) };
        put_fixed::<32>(withdrawals_root, out)?;
        let Some(blob_gas_used) = self.blob_gas_used.get() else { return Some(()) };
        put_quantity(blob_gas_used, out)?;
        let Some(excess_blob_gas) = self.excess_blob_gas.get() else { return Some(()) };
        put_quantity(excess_blob_gas, out)?;
        let roots =
            [self.parent_beacon_block_root, self.requests_hash, self.block_access_list_hash];
        for root in roots {
            let Some(root) = root.get() else { return Some(()) };
            put_fixed::<32>(root, out)?;
        }
        self.slot_number.get().map_or(Some(()), |slot| put_quantity(slot, out))
    }
}
