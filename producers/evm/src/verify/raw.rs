//! The JSON of answers: only the fields that we need; those that some chain leaves out are optional.
//!
//! An answer is invalid if a needed field cannot be read, or a transaction's receiver, value or status, without which
//! an event would be missing or wrong. Every other unreadable field counts as absent.

use crypto_intel_schemas::{Address, B256, U256};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::lenient::{Decisive, Lenient};
use crate::hex::Hex;

/// The needed fields of a block with its transactions, besides the header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawBlock<'a> {
    #[serde(borrow)]
    pub(super) transactions: Vec<RawTransaction<'a>>,
    #[serde(default, borrow)]
    pub(super) logs_bloom: Lenient<&'a str>,
    #[serde(default)]
    pub(super) receipts_root: Lenient<B256>,
    #[serde(default)]
    pub(super) transactions_root: Lenient<B256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawTransaction<'a> {
    pub(super) hash: Hex<B256>,
    #[serde(default)]
    pub(super) from: Lenient<Address>,
    #[serde(default)]
    pub(super) to: Decisive<Address>,
    #[serde(default)]
    pub(super) value: Decisive<U256>,
    #[serde(default, borrow)]
    pub(super) input: Lenient<&'a str>,
    // The fields below are needed for the bytes that are hashed, and for the event of a transaction.
    #[serde(default, rename = "type")]
    pub(super) kind: Lenient<u64>,
    #[serde(default, borrow)]
    pub(super) chain_id: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) nonce: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) gas: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) gas_price: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) max_fee_per_gas: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) max_priority_fee_per_gas: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) max_fee_per_blob_gas: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) access_list: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) blob_versioned_hashes: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) authorization_list: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) v: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) y_parity: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) r: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) s: Lenient<&'a str>,
    /// This field and the next ones: of deposits on chains of the OP stack.
    #[serde(default, borrow)]
    pub(super) source_hash: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) mint: Lenient<&'a str>,
    #[serde(default, borrow)]
    pub(super) is_system_tx: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawReceipt<'a> {
    pub(super) transaction_hash: Hex<B256>,
    #[serde(default)]
    pub(super) transaction_index: Lenient<u32>,
    #[serde(default)]
    pub(super) block_hash: Lenient<B256>,
    #[serde(default)]
    pub(super) from: Lenient<Address>,
    #[serde(default)]
    pub(super) to: Lenient<Address>,
    #[serde(default)]
    pub(super) contract_address: Lenient<Address>,
    #[serde(default)]
    pub(super) status: Decisive<u64>,
    #[serde(default, borrow)]
    pub(super) root: Lenient<&'a str>,
    #[serde(default, rename = "type")]
    pub(super) receipt_type: Lenient<u64>,
    #[serde(default)]
    pub(super) cumulative_gas_used: Lenient<u64>,
    #[serde(default, borrow)]
    pub(super) logs_bloom: Lenient<&'a str>,
    // The fields below say what it cost.
    #[serde(default)]
    pub(super) gas_used: Lenient<u64>,
    #[serde(default)]
    pub(super) effective_gas_price: Lenient<u128>,
    #[serde(default)]
    pub(super) blob_gas_price: Lenient<u128>,
    /// Of chains of the OP stack and Scroll; the next two of the OP stack.
    #[serde(default)]
    pub(super) l1_fee: Lenient<U256>,
    #[serde(default)]
    pub(super) operator_fee_scalar: Lenient<u128>,
    #[serde(default)]
    pub(super) operator_fee_constant: Lenient<u128>,
    /// Of Arbitrum.
    #[serde(default, rename = "gasUsedForL1")]
    pub(super) gas_used_for_l1: Lenient<u64>,
    /// Of deposits on chains of the OP stack.
    #[serde(default)]
    pub(super) deposit_nonce: Lenient<u64>,
    #[serde(default)]
    pub(super) deposit_receipt_version: Lenient<u64>,
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
    pub(super) block_hash: Lenient<B256>,
    pub(super) transaction_hash: Hex<B256>,
    #[serde(default)]
    pub(super) transaction_index: Lenient<u32>,
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
