//! The JSON of answers: only the fields that we need, and every one that some chain leaves out optional.

use crypto_intel_schemas::{Address, B256, U256};
use serde::Deserialize;

use crate::{block::Header, hex::Hex};

/// A header, as in `newHeads` and in blocks without transactions.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHeader {
    number: Hex<u64>,
    hash: Hex<B256>,
    parent_hash: Hex<B256>,
    timestamp: Hex<u64>,
    #[serde(default)]
    gas_used: Option<Hex<u64>>,
    #[serde(default)]
    gas_limit: Option<Hex<U256>>,
    #[serde(default)]
    base_fee_per_gas: Option<Hex<U256>>,
    #[serde(default)]
    miner: Option<Hex<Address>>,
    #[serde(default)]
    logs_bloom: Option<Bloom>,
}

/// Whether a bloom filter has any bit.
#[derive(Debug, Clone, Copy)]
struct Bloom(bool);

impl<'de> Deserialize<'de> for Bloom {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Self(text.bytes().skip(2).any(|digit| digit != b'0')))
    }
}

impl RawHeader {
    pub(super) fn header(&self) -> Header {
        Header {
            number: self.number.0,
            hash: self.hash.0,
            parent_hash: self.parent_hash.0,
            timestamp: self.timestamp.0,
            gas_used: self.gas_used.map_or(0, |gas| gas.0),
            // Some chains say "no limit" with a number beyond 64 bits.
            gas_limit: self.gas_limit.map_or(0, |gas| u64::try_from(gas.0).unwrap_or(u64::MAX)),
            base_fee_per_gas: self.base_fee_per_gas.map(|fee| fee.0),
            miner: self.miner.map(|miner| miner.0),
            has_bloom: self.logs_bloom.is_some_and(|bloom| bloom.0),
        }
    }
}

/// What is needed of a block with its transactions, beside the header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawBlock<'a> {
    #[serde(borrow)]
    pub(super) transactions: Vec<RawTransaction<'a>>,
    #[serde(default)]
    pub(super) logs_bloom: Option<&'a str>,
    #[serde(default)]
    pub(super) receipts_root: Option<Hex<B256>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawTransaction<'a> {
    pub(super) hash: Hex<B256>,
    #[serde(default)]
    pub(super) from: Option<Hex<Address>>,
    #[serde(default)]
    pub(super) to: Option<Hex<Address>>,
    #[serde(default)]
    pub(super) value: Option<Hex<U256>>,
    #[serde(default)]
    pub(super) input: Option<&'a str>,
    #[serde(default)]
    pub(super) nonce: Option<Hex<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawReceipt<'a> {
    pub(super) transaction_hash: Hex<B256>,
    #[serde(default)]
    pub(super) transaction_index: Option<Hex<u32>>,
    #[serde(default)]
    pub(super) block_hash: Option<Hex<B256>>,
    #[serde(default)]
    pub(super) from: Option<Hex<Address>>,
    #[serde(default)]
    pub(super) to: Option<Hex<Address>>,
    #[serde(default)]
    pub(super) contract_address: Option<Hex<Address>>,
    #[serde(default)]
    pub(super) status: Option<Hex<u64>>,
    #[serde(default)]
    pub(super) root: Option<&'a str>,
    #[serde(default, rename = "type")]
    pub(super) receipt_type: Option<Hex<u64>>,
    #[serde(default)]
    pub(super) cumulative_gas_used: Option<Hex<u64>>,
    #[serde(default)]
    pub(super) logs_bloom: Option<&'a str>,
    /// Of deposits on chains of the OP stack.
    #[serde(default)]
    pub(super) deposit_nonce: Option<Hex<u64>>,
    #[serde(default)]
    pub(super) deposit_receipt_version: Option<Hex<u64>>,
    #[serde(borrow)]
    pub(super) logs: Vec<RawLog<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawLog<'a> {
    pub(super) address: Hex<Address>,
    pub(super) topics: Topics,
    pub(super) data: &'a str,
    #[serde(default)]
    pub(super) block_hash: Option<Hex<B256>>,
    pub(super) transaction_hash: Hex<B256>,
    #[serde(default)]
    pub(super) transaction_index: Option<Hex<u32>>,
    pub(super) log_index: Hex<u32>,
}

/// At most four topics, without an allocation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topics {
    pub(super) topics: [B256; 4],
    pub(super) count: usize,
}

impl<'de> Deserialize<'de> for Topics {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Topics;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("0 to 4 topics")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Topics, A::Error> {
                let mut topics = Topics { topics: [B256::ZERO; 4], count: 0 };
                while let Some(Hex(topic)) = list.next_element::<Hex<B256>>()? {
                    let Some(place) = topics.topics.get_mut(topics.count) else {
                        return Err(serde::de::Error::invalid_length(5, &self));
                    };
                    *place = topic;
                    topics.count += 1;
                }
                Ok(topics)
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}
