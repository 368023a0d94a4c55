//! Reads what the event `transaction` says. Nothing of it makes an answer invalid.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::raw::{RawReceipt, RawTransaction};
use crate::{
    details::{Details, Lists, MAX_DELEGATES, Paid},
    hex::{FromHex, Hex},
};
use crypto_intel_schemas::Address;

/// Larger numbers are of no real chain, and of no table.
const MAX: u64 = i64::MAX as u64;

/// By a transaction with all its fields.
pub(super) fn details_of(raw: &RawTransaction<'_>) -> Details {
    Details {
        is_whole: true,
        // Nodes before Berlin do not say it.
        kind: u8::try_from(raw.kind.get().unwrap_or(0)).ok(),
        nonce: raw.nonce.get().and_then(bounded),
        gas_limit: raw.gas.get().and_then(bounded),
        gas_price: raw.gas_price.get().and_then(u128::from_hex),
        max_fee: raw.max_fee_per_gas.get().and_then(u128::from_hex),
        max_tip: raw.max_priority_fee_per_gas.get().and_then(u128::from_hex),
        lists: lists_of(raw).map(Box::new),
        paid: Paid::default(),
    }
}

/// By a receipt.
pub(super) fn paid_of(receipt: &RawReceipt<'_>) -> Paid {
    let is_above_0 = |field: Option<u128>| field.is_some_and(|value| value > 0);
    Paid {
        gas_used: receipt.gas_used.get().filter(|gas| *gas <= MAX),
        gas_used_for_l1: receipt.gas_used_for_l1.get().filter(|gas| *gas <= MAX),
        gas_price: receipt.effective_gas_price.get(),
        blob_gas_price: receipt.blob_gas_price.get(),
        l1_fee: receipt.l1_fee.get(),
        has_operator_fee: is_above_0(receipt.operator_fee_scalar.get())
            || is_above_0(receipt.operator_fee_constant.get()),
    }
}

fn bounded(text: &str) -> Option<u64> {
    u64::from_hex(text).filter(|value| *value <= MAX)
}

fn lists_of(raw: &RawTransaction<'_>) -> Option<Lists> {
    if raw.blob_versioned_hashes.is_none() && raw.authorization_list.is_none() {
        return None;
    }
    let blobs: Option<Vec<&str>> = raw.blob_versioned_hashes.and_then(list);
    let authorizations: Option<Vec<Delegation>> = raw.authorization_list.and_then(list);
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let mut lists = Lists {
        blobs: blobs.map(|blobs| count(blobs.len())).filter(|blobs| *blobs > 0),
        authorizations: authorizations
            .as_ref()
            .map(|list| count(list.len()))
            .filter(|authorizations| *authorizations > 0),
        delegated_to: Vec::new(),
    };
    for Delegation { address: Hex(delegate) } in authorizations.into_iter().flatten() {
        // The zero address ends a delegation.
        let is_new = !delegate.is_zero() && !lists.delegated_to.contains(&delegate);
        if is_new && lists.delegated_to.len() < MAX_DELEGATES {
            lists.delegated_to.push(delegate);
        }
    }
    Some(lists)
}

fn list<'a, T: Deserialize<'a>>(text: &'a RawValue) -> Option<Vec<T>> {
    serde_json::from_str(text.get()).ok()
}

#[derive(Debug, Deserialize)]
struct Delegation {
    address: Hex<Address>,
}
