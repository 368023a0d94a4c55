//! Rows of transfers back into the events that they were made of.

use crypto_intel_schemas::{
    Address, B256, CallType, Decimal, Erc20Transfer, Erc721Transfer, Erc1155Transfer, Event,
    FixedBytes, InternalTransfer, Kind, NativeTransfer, TransactionStatus, Uint256, log_event_id,
    transaction_event_id,
};
use tokio_postgres::Row;

use super::{StoredTransfer, TransferKey};
use crate::read::values::{address, decimal, optional_address, selector, uint256};

/// What of a row all kinds have.
struct Common {
    key: TransferKey,
    block_hash: B256,
    chain_id: u64,
    observed_at_us: i64,
    incarnation: u32,
    tx_index: u32,
    tx_hash: B256,
    sender: Address,
    recipient: Address,
    value: Uint256,
    symbol: Option<String>,
    usd: Option<Decimal>,
    tx_from: Option<Address>,
    tx_to: Option<Address>,
    method: Option<FixedBytes<4>>,
    watched: Vec<String>,
}

pub(super) fn read(row: &Row) -> StoredTransfer {
    let key = TransferKey {
        block_time_us: row.get(0),
        block_number: row.get(1),
        block_tag: row.get(2),
        place: row.get(3),
        sub_place: row.get(4),
        chain: row.get(5),
        rank: row.get(6),
    };
    let event = row.get::<_, Option<&[u8]>>(28).map(|hash| {
        let common = common(row, key.clone(), B256::try_from(hash).unwrap_or_default());
        event(row, common)
    });
    StoredTransfer { key, event }
}

fn common(row: &Row, key: TransferKey, block_hash: B256) -> Common {
    Common {
        key,
        block_hash,
        chain_id: row.get::<_, i64>(29).unsigned_abs(),
        observed_at_us: row.get(30),
        incarnation: row.get::<_, i32>(31).unsigned_abs(),
        tx_index: row.get::<_, i32>(7).unsigned_abs(),
        tx_hash: B256::try_from(row.get::<_, &[u8]>(8)).unwrap_or_default(),
        sender: address(row.get(13)),
        recipient: address(row.get(14)),
        value: uint256(row.get(17)),
        symbol: row.get(18),
        usd: decimal(row.get(20)),
        tx_from: optional_address(row.get(21)),
        tx_to: optional_address(row.get(22)),
        method: selector(row.get(23)),
        watched: row.get::<_, Option<Vec<String>>>(24).unwrap_or_default(),
    }
}

/// The fields that bodies have in common, and those of their transaction.
macro_rules! body {
    ($Body:ident, $common:expr, $id:expr, { $($field:ident: $value:expr),* $(,)? }) => {{
        let common = $common;
        Event::from($Body {
            id: $id,
            event_at_us: common.key.block_time_us,
            observed_at_us: common.observed_at_us,
            chain: common.key.chain,
            chain_id: common.chain_id,
            block_number: common.key.block_number.unsigned_abs(),
            block_hash: common.block_hash,
            block_time_us: common.key.block_time_us,
            removed: false,
            incarnation: common.incarnation,
            watched: common.watched,
            tx_hash: common.tx_hash,
            tx_index: common.tx_index,
            tx_from: common.tx_from,
            tx_to: common.tx_to,
            method: common.method,
            from: common.sender,
            to: common.recipient,
            $($field: $value,)*
            ..$Body::empty()
        })
    }};
}

fn event(row: &Row, common: Common) -> Event {
    match common.key.rank {
        1 => native(row, common),
        2 => internal(row, common),
        _ => token(row, common),
    }
}

fn native(row: &Row, common: Common) -> Event {
    let id = of_transaction(&common, Kind::NativeTransfer, None);
    let status = match row.get::<_, Option<bool>>(25) {
        Some(true) => TransactionStatus::Success,
        Some(false) => TransactionStatus::Failed,
        None => TransactionStatus::Unknown,
    };
    let (value, symbol, usd) = (common.value, common.symbol.clone(), common.usd.clone());
    let amount = decimal(row.get(19));
    body!(NativeTransfer, common, id, { value: value, symbol: symbol, amount: amount, usd: usd, status: status })
}

fn internal(row: &Row, common: Common) -> Event {
    let sub_index = common.key.sub_place.unsigned_abs();
    let id = of_transaction(&common, Kind::InternalTransfer, Some(sub_index));
    let (value, symbol, usd) = (common.value, common.symbol.clone(), common.usd.clone());
    let call_type = match row.get::<_, Option<&str>>(26) {
        Some("create") => CallType::Create,
        Some("selfdestruct") => CallType::SelfDestruct,
        _ => CallType::Call,
    };
    let trace: Option<&str> = row.get(27);
    let trace = trace.unwrap_or_default().split('.').filter_map(|level| level.parse().ok());
    body!(InternalTransfer, common, id, {
        sub_index: sub_index,
        value: value,
        call_type: call_type,
        trace_address: trace.collect(),
        symbol: symbol,
        amount: decimal(row.get(19)),
        usd: usd,
    })
}

fn token(row: &Row, common: Common) -> Event {
    let log_index = common.key.place.unsigned_abs();
    let token = address(row.get::<_, Option<&[u8]>>(12).unwrap_or_default());
    let token_id = row.get::<_, Option<&str>>(16).map(uint256).unwrap_or_default();
    let value = common.value;
    match row.get::<_, Option<i16>>(9) {
        Some(721) => {
            let id = of_log(&common, Kind::Erc721Transfer, None);
            body!(Erc721Transfer, common, id, { log_index: log_index, address: token, token_id: token_id })
        }
        Some(1_155) => {
            // The first of a batch and the only one of no batch look alike in the table: both are told as the latter.
            let sub_index = Some(common.key.sub_place.unsigned_abs()).filter(|place| *place > 0);
            let id = of_log(&common, Kind::Erc1155Transfer, sub_index);
            let operator = address(row.get::<_, Option<&[u8]>>(15).unwrap_or_default());
            body!(Erc1155Transfer, common, id, {
                log_index: log_index,
                address: token,
                sub_index: sub_index,
                operator: operator,
                token_id: token_id,
                value: value,
            })
        }
        _ => {
            let id = of_log(&common, Kind::Erc20Transfer, None);
            let decimals =
                row.get::<_, Option<i16>>(10).and_then(|decimals| u8::try_from(decimals).ok());
            let (symbol, usd) = (common.symbol.clone(), common.usd.clone());
            body!(Erc20Transfer, common, id, {
                log_index: log_index,
                address: token,
                value: value,
                symbol: symbol,
                decimals: decimals,
                amount: decimals.map(|decimals| Decimal::from_units(value.0, decimals)),
                usd: usd,
                token_verified: row.get(11),
            })
        }
    }
}

fn of_transaction(common: &Common, kind: Kind, sub_index: Option<u32>) -> String {
    let chain = &common.key.chain;
    transaction_event_id(chain, &common.block_hash, kind, common.tx_index, sub_index)
}

fn of_log(common: &Common, kind: Kind, sub_index: Option<u32>) -> String {
    let log_index = common.key.place.unsigned_abs();
    log_event_id(&common.key.chain, &common.block_hash, kind, log_index, sub_index)
}
