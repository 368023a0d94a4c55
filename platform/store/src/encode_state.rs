//! Rows of what chains and their endpoints are like: gas, reorganisations, state of endpoints.

use alloy_primitives::U256;
use crypto_intel_schemas::{Block, Jump, NodeStatus, Reorg};

use crate::{
    Table,
    encode::{put_chain_key, writer},
    row::Unstorable,
};

/// Columns of `block_gas` in the order in which rows are encoded.
pub(crate) const BLOCK_GAS: &[&str] = &[
    "chain",
    "block_hash",
    "block_time",
    "block_number",
    "chain_id",
    "transactions",
    "gas_used",
    "gas_limit",
    "base_fee_per_gas",
];

/// Columns of `reorgs` in the order in which rows are encoded.
pub(crate) const REORGS: &[&str] = &[
    "chain",
    "block_hash",
    "incarnation",
    "block_time",
    "observed_at",
    "block_number",
    "chain_id",
    "ancestor_number",
    "depth",
    "ancestor_hash",
    "dropped",
];

/// Columns of `jumps` in the order in which rows are encoded.
pub(crate) const JUMPS: &[&str] = &[
    "chain",
    "block_hash",
    "incarnation",
    "block_time",
    "observed_at",
    "block_number",
    "chain_id",
    "from_number",
    "to_number",
];

/// Columns of `node_status` in the order in which rows are encoded.
pub(crate) const NODE_STATUS: &[&str] = &[
    "chain",
    "endpoint",
    "instance",
    "event_at",
    "observed_at",
    "head",
    "lag_blocks",
    "latency_ms",
    "error_percent",
    "connected",
    "serving",
    "role",
    "reason",
    "breaker",
    "error",
];

/// Appends the row of `block_gas` that a marker is; returns the offset where its key ends.
pub(crate) fn put_block_gas(out: &mut Vec<u8>, body: &Block) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::BlockGas);
    row.text(&body.chain);
    row.bytes(body.block_hash);
    row.time("block_time", body.block_time_us)?;
    let key_end = row.offset();
    row.int8_from("block_number", body.block_number)?;
    row.int8_from("chain_id", body.chain_id)?;
    row.int4_from("transactions", body.transactions)?;
    row.uint256(U256::from(body.gas_used));
    row.uint256(U256::from(body.gas_limit));
    row.uint256_or_null(body.base_fee_per_gas.map(|fee| fee.0));
    row.finish();
    Ok(key_end)
}

pub(crate) fn put_reorg(out: &mut Vec<u8>, body: &Reorg) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Reorgs);
    let places = [("incarnation", body.incarnation)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int8_from("ancestor_number", body.ancestor.number)?;
    row.int4_from("depth", body.depth)?;
    row.bytes(body.ancestor.hash);
    row.hashes(&body.dropped.iter().map(|block| block.hash).collect::<Vec<_>>());
    row.finish();
    Ok(key_end)
}

pub(crate) fn put_jump(out: &mut Vec<u8>, body: &Jump) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Jumps);
    let places = [("incarnation", body.incarnation)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int8_from("from_number", body.from_number)?;
    row.int8_from("to_number", body.to_number)?;
    row.finish();
    Ok(key_end)
}

pub(crate) fn put_node_status(out: &mut Vec<u8>, body: &NodeStatus) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::NodeStatus);
    row.text(&body.chain);
    row.text(&body.endpoint);
    row.text(&body.instance);
    row.time("event_at", body.event_at_us)?;
    let key_end = row.offset();
    row.time("observed_at", body.observed_at_us)?;
    row.int8_or_null("head", body.head)?;
    row.int8_or_null("lag_blocks", body.lag_blocks)?;
    row.int8_or_null("latency_ms", body.latency_ms)?;
    row.int4_from("error_percent", body.error_percent)?;
    row.boolean(body.connected);
    row.boolean(body.serving);
    row.text(&body.role);
    row.text(&body.reason);
    row.text(&body.breaker);
    row.text_or_null(body.error.as_deref());
    row.finish();
    Ok(key_end)
}
