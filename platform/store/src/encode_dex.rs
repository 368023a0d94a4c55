//! Rows of DEX pools, of decoded events and of payments inside contracts.

use std::fmt::Write as _;

use crypto_intel_schemas::{ContractEvent, InternalTransfer, Liquidity, Swap};

use crate::{
    Table,
    encode::{put_chain_key, put_transaction, writer},
    row::Unstorable,
};

/// Columns of `internal_transfers` in the order in which rows are encoded.
pub(crate) const INTERNAL_TRANSFERS: &[&str] = &[
    "chain",
    "block_hash",
    "tx_index",
    "sub_index",
    "block_time",
    "observed_at",
    "block_number",
    "chain_id",
    "tx_hash",
    "sender",
    "recipient",
    "value",
    "call_type",
    "trace_address",
    "symbol",
    "amount",
    "usd",
    "tx_from",
    "tx_to",
    "method",
    "watched",
];

/// Columns of `swaps` in the order in which rows are encoded.
pub(crate) const SWAPS: &[&str] = &[
    "chain",
    "block_hash",
    "log_index",
    "block_time",
    "observed_at",
    "block_number",
    "chain_id",
    "fee",
    "tx_index",
    "tick",
    "tx_hash",
    "protocol",
    "pool",
    "pool_id",
    "sender",
    "recipient",
    "amount0",
    "amount1",
    "sqrt_price_x96",
    "liquidity",
    "protocol_fee0",
    "protocol_fee1",
    "tx_from",
    "tx_to",
    "method",
    "watched",
];

/// Columns of `liquidity` in the order in which rows are encoded.
pub(crate) const LIQUIDITY: &[&str] = &[
    "chain",
    "block_hash",
    "log_index",
    "block_time",
    "observed_at",
    "block_number",
    "chain_id",
    "fee",
    "tx_index",
    "tick_spacing",
    "tick_lower",
    "tick_upper",
    "tick",
    "tx_hash",
    "protocol",
    "action",
    "address",
    "pool",
    "pool_id",
    "token0",
    "token1",
    "sender",
    "owner",
    "recipient",
    "amount0",
    "amount1",
    "liquidity_delta",
    "reserve0",
    "reserve1",
    "sqrt_price_x96",
    "hooks",
    "tx_from",
    "tx_to",
    "method",
    "watched",
];

/// Columns of `events` in the order in which rows are encoded.
pub(crate) const EVENTS: &[&str] = &[
    "chain",
    "block_hash",
    "log_index",
    "sub_index",
    "block_time",
    "observed_at",
    "block_number",
    "chain_id",
    "tx_index",
    "tx_hash",
    "address",
    "abi",
    "name",
    "signature",
    "fields",
    "tx_from",
    "tx_to",
    "method",
    "watched",
];

pub(crate) fn put_swap(out: &mut Vec<u8>, body: &Swap) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Swaps);
    let places = [("log_index", body.log_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int8_or_null("fee", body.fee.map(u64::from))?;
    row.int4_from("tx_index", body.tx_index)?;
    row.int4_or_null(body.tick);
    row.bytes(body.tx_hash);
    row.text(body.protocol.as_str());
    row.bytes(body.address);
    row.bytes_or_null(body.pool_id);
    row.bytes(body.sender);
    row.bytes_or_null(body.recipient);
    row.int256(body.amount0.0);
    row.int256(body.amount1.0);
    for value in [body.sqrt_price_x96, body.liquidity, body.protocol_fee0, body.protocol_fee1] {
        row.uint256_or_null(value.map(|value| value.0));
    }
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

pub(crate) fn put_liquidity(out: &mut Vec<u8>, body: &Liquidity) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Liquidity);
    let places = [("log_index", body.log_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int8_or_null("fee", body.fee.map(u64::from))?;
    row.int4_from("tx_index", body.tx_index)?;
    for value in [body.tick_spacing, body.tick_lower, body.tick_upper, body.tick] {
        row.int4_or_null(value);
    }
    row.bytes(body.tx_hash);
    row.text(body.protocol.as_str());
    row.text(body.action.as_str());
    row.bytes(body.address);
    row.bytes_or_null(body.pool);
    row.bytes_or_null(body.pool_id);
    for address in [body.token0, body.token1, body.sender, body.owner, body.recipient] {
        row.bytes_or_null(address);
    }
    row.uint256_or_null(body.amount0.map(|value| value.0));
    row.uint256_or_null(body.amount1.map(|value| value.0));
    match body.liquidity_delta {
        Some(delta) => row.int256(delta.0),
        None => row.null(),
    }
    for value in [body.reserve0, body.reserve1, body.sqrt_price_x96] {
        row.uint256_or_null(value.map(|value| value.0));
    }
    row.bytes_or_null(body.hooks);
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

pub(crate) fn put_contract_event(
    out: &mut Vec<u8>,
    body: &ContractEvent,
) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Events);
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.bytes(body.tx_hash);
    row.bytes(body.address);
    row.text(&body.abi);
    row.text(&body.name);
    row.text(&body.signature);
    row.json(&body.fields.to_json_text());
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

pub(crate) fn put_internal(
    out: &mut Vec<u8>,
    body: &InternalTransfer,
) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::InternalTransfers);
    let places = [("tx_index", body.tx_index), ("sub_index", body.sub_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.bytes(body.tx_hash);
    row.bytes(body.from);
    row.bytes(body.to);
    row.uint256(body.value.0);
    row.text(body.call_type.as_str());
    row.text(&dotted(&body.trace_address));
    row.text_or_null(body.symbol.as_deref());
    row.decimal_or_null(body.amount.as_ref());
    row.decimal_or_null(body.usd.as_ref());
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn dotted(places: &[u32]) -> String {
    let mut text = String::with_capacity(places.len() * 2);
    for (level, place) in places.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{place}", if level > 0 { "." } else { "" });
    }
    text
}
