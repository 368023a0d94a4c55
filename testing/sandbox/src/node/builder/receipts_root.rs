//! The receipts root of a generated block (yellow paper, 4.3.1; EIP-2718).

use alloy_primitives::{B256, Log, LogData};
use alloy_rlp::{BufMut, Encodable, Header};
use alloy_trie::root::ordered_trie_root_with_encoder;

use super::block_plan::Transfer;

/// The type of all generated transactions (EIP-1559).
const TYPE: u8 = 2;
const SUCCESS: u8 = 1;

/// The root of the receipts that [`synthetic_text`](super::synthetic_text) writes.
pub(super) fn receipts_root(transfers: &[Transfer<'_>], transfer_topic: B256) -> B256 {
    let mut gas = 0;
    let receipts: Vec<(&Transfer<'_>, u64)> = transfers
        .iter()
        .map(|transfer| {
            gas += transfer.gas();
            (transfer, gas)
        })
        .collect();
    ordered_trie_root_with_encoder(&receipts, |(transfer, gas), out| {
        let logs: Vec<Log> = transfer
            .token
            .map(|token| {
                let parties = [transfer.from, transfer.to].map(|one| one.address.into_word());
                let topics = vec![transfer_topic, parties[0], parties[1]];
                let data = B256::left_padding_from(&transfer.amount.to_be_bytes());
                Log { address: token.address, data: LogData::new_unchecked(topics, data.into()) }
            })
            .into_iter()
            .collect();
        let payload_length =
            SUCCESS.length() + gas.length() + transfer.bloom.length() + logs.length();
        out.put_u8(TYPE);
        Header { list: true, payload_length }.encode(out);
        SUCCESS.encode(out);
        gas.encode(out);
        transfer.bloom.encode(out);
        logs.encode(out);
    })
}
