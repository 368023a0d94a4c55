//! Checks that the transactions of an answer are those of the header: each hash matches the transaction's bytes, and
//! together they have the header's root.

use alloy_primitives::keccak256;
use alloy_rlp::{BufMut as _, EMPTY_STRING_CODE, Encodable as _};
use alloy_trie::root::ordered_trie_root_with_encoder;
use crypto_intel_schemas::{Address, B256};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    raw::RawTransaction,
    rlp::{put_bytes, put_fixed, put_list, put_quantity},
};

/// What is proven of a block's transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// All of them match the header.
    Holds,
    /// One does not match its hash, or together they do not match the header.
    Fails,
    /// Some are of a type whose encoding is not known here; the others match their hashes.
    Incomplete,
}

/// Checks them. `outside` is the hash of a record that nodes return as the last transaction, but the chain does not
/// count as one.
pub(super) fn prove(
    transactions: &[RawTransaction<'_>],
    root: Option<B256>,
    outside: impl FnOnce() -> B256,
) -> Proof {
    let mut bytes = Vec::new();
    let mut places = Vec::with_capacity(transactions.len());
    let mut is_whole = true;
    let outside = transactions.last().map(|last| (last.hash.0, outside()));
    let records = usize::from(outside.is_some_and(|(last, outside)| last == outside));
    for transaction in &transactions[..transactions.len() - records] {
        let start = bytes.len();
        if !is_known(transaction) {
            is_whole = false;
            continue;
        }
        // A transaction without a field fails: omitting one must not be a way around the proof.
        let is_put = put_transaction(transaction, &mut bytes).is_some();
        if !is_put || keccak256(&bytes[start..]) != transaction.hash.0 {
            return Proof::Fails;
        }
        places.push(start..bytes.len());
    }
    if !is_whole {
        return Proof::Incomplete;
    }
    let Some(root) = root else { return Proof::Fails };
    let found = ordered_trie_root_with_encoder(&places, |place, out| {
        out.put_slice(&bytes[place.clone()]);
    });
    if found == root { Proof::Holds } else { Proof::Fails }
}

/// Whether the encoding of its type is known here. Scroll's messages share the number of OP deposits.
fn is_known(transaction: &RawTransaction<'_>) -> bool {
    match transaction.kind.get().unwrap_or(0) {
        0..=4 | ARBITRUM_INTERNAL => true,
        DEPOSIT => transaction.source_hash.get().is_some(),
        _ => false,
    }
}

/// Appends the bytes that a transaction's hash is computed from. `None` if a field is missing.
fn put_transaction(transaction: &RawTransaction<'_>, out: &mut Vec<u8>) -> Option<()> {
    let kind = transaction.kind.get().unwrap_or(0);
    if kind != 0 {
        // Types are one byte.
        out.push(kind as u8);
    }
    put_list(out, |out| match kind {
        0 => transaction.put_legacy(out),
        DEPOSIT => transaction.put_deposit(out),
        ARBITRUM_INTERNAL => {
            put_quantity(transaction.chain_id.get()?, out)?;
            put_bytes(transaction.input.get()?, out)
        }
        _ => transaction.put_typed(kind, out),
    })
}

/// Deposits from Ethereum on an OP chain.
const DEPOSIT: u64 = 0x7e;
/// The first transaction of each block of Arbitrum.
const ARBITRUM_INTERNAL: u64 = 0x6a;

impl RawTransaction<'_> {
    fn put_legacy(&self, out: &mut Vec<u8>) -> Option<()> {
        put_quantity(self.nonce.get()?, out)?;
        put_quantity(self.gas_price.get()?, out)?;
        self.put_call(out)?;
        put_quantity(self.v.get()?, out)?;
        self.put_signature(out)
    }

    /// EIP-2930, EIP-1559, EIP-4844 and EIP-7702.
    fn put_typed(&self, kind: u64, out: &mut Vec<u8>) -> Option<()> {
        put_quantity(self.chain_id.get()?, out)?;
        put_quantity(self.nonce.get()?, out)?;
        if kind == 1 {
            put_quantity(self.gas_price.get()?, out)?;
        } else {
            put_quantity(self.max_priority_fee_per_gas.get()?, out)?;
            put_quantity(self.max_fee_per_gas.get()?, out)?;
        }
        self.put_call(out)?;
        let access_list: Vec<AccessListItem<'_>> = read_list(self.access_list)?;
        put_list(out, |out| access_list.iter().try_for_each(|item| item.put(out)))?;
        if kind == 3 {
            put_quantity(self.max_fee_per_blob_gas.get()?, out)?;
            let hashes: Vec<&str> = read_list(self.blob_versioned_hashes)?;
            put_list(out, |out| hashes.iter().try_for_each(|hash| put_fixed::<32>(hash, out)))?;
        }
        if kind == 4 {
            let authorizations: Vec<Authorization<'_>> = read_list(self.authorization_list)?;
            put_list(out, |out| authorizations.iter().try_for_each(|one| one.put(out)))?;
        }
        put_quantity(self.y_parity.get().or(self.v.get())?, out)?;
        self.put_signature(out)
    }

    fn put_deposit(&self, out: &mut Vec<u8>) -> Option<()> {
        put_fixed::<32>(self.source_hash.get()?, out)?;
        put_address(self.from.get(), out);
        put_address(self.to.0, out);
        put_quantity(self.mint.get().unwrap_or("0x0"), out)?;
        self.value.0.unwrap_or_default().encode(out);
        put_quantity(self.gas.get()?, out)?;
        self.is_system_tx.is_some_and(|text| text.get() == "true").encode(out);
        put_bytes(self.input.get()?, out)
    }

    /// Gas, receiver, value and input: the same in every type but deposits.
    fn put_call(&self, out: &mut Vec<u8>) -> Option<()> {
        put_quantity(self.gas.get()?, out)?;
        put_address(self.to.0, out);
        self.value.0.unwrap_or_default().encode(out);
        put_bytes(self.input.get()?, out)
    }

    fn put_signature(&self, out: &mut Vec<u8>) -> Option<()> {
        put_quantity(self.r.get()?, out)?;
        put_quantity(self.s.get()?, out)
    }
}

fn put_address(address: Option<Address>, out: &mut Vec<u8>) {
    match address {
        Some(address) => address.encode(out),
        None => out.push(EMPTY_STRING_CODE),
    }
}

/// Parses a list only here, so that a malformed one does not make a block invalid elsewhere.
fn read_list<'a, T: Deserialize<'a>>(text: Option<&'a RawValue>) -> Option<Vec<T>> {
    text.map_or(Some(Vec::new()), |text| serde_json::from_str(text.get()).ok())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessListItem<'a> {
    address: &'a str,
    #[serde(borrow)]
    storage_keys: Vec<&'a str>,
}

/// An authorization of a transaction that sets code.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization<'a> {
    chain_id: &'a str,
    address: &'a str,
    nonce: &'a str,
    #[serde(default)]
    y_parity: Option<&'a str>,
    #[serde(default)]
    v: Option<&'a str>,
    r: &'a str,
    s: &'a str,
}

impl AccessListItem<'_> {
    fn put(&self, out: &mut Vec<u8>) -> Option<()> {
        put_list(out, |out| {
            put_fixed::<20>(self.address, out)?;
            put_list(out, |out| {
                self.storage_keys.iter().try_for_each(|key| put_fixed::<32>(key, out))
            })
        })
    }
}

impl Authorization<'_> {
    fn put(&self, out: &mut Vec<u8>) -> Option<()> {
        put_list(out, |out| {
            put_quantity(self.chain_id, out)?;
            put_fixed::<20>(self.address, out)?;
            put_quantity(self.nonce, out)?;
            put_quantity(self.y_parity.or(self.v)?, out)?;
            put_quantity(self.r, out)?;
            put_quantity(self.s, out)
        })
    }
}
