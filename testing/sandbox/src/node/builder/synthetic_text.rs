//! Writing a generated block as JSON, straight into strings.

use super::block_plan::{BlockPlan, Bloom, TRANSFER_TOPIC, Transfer};
use super::hex::{push_bytes, push_quantity, push_word};
use crate::node::block::Texts;

pub(super) const NO_UNCLES: &str =
    "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
pub(super) const MINER: &str = "0x0000000000000000000000000000000000005afe";
pub(super) const GAS_LIMIT: &str = "0x3b9aca00";
pub(super) const BASE_FEE: &str = "0x3b9aca00";
const GAS_PRICE: &str = "0x77359400";
const ZERO_HASH: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";
// Generated transactions are not signed; their signature only has the right shape.
const SIGNATURE: &str = concat!(
    r#","v":"0x0","r":"0x1111111111111111111111111111111111111111111111111111111111111111","#,
    r#""s":"0x1111111111111111111111111111111111111111111111111111111111111111","yParity":"0x0"}"#
);
const TRANSACTION_BYTES: usize = 1_000;
const RECEIPT_BYTES: usize = 1_900;

/// The parts that come up in every transaction, receipt and log of a block.
struct Shared {
    /// `"blockHash":"0x…","blockNumber":"0x…"`
    block: String,
    chain_id: String,
    timestamp: String,
}

pub(super) fn write(plan: &BlockPlan<'_>) -> Texts {
    let identity = &plan.identity;
    let mut shared =
        Shared { block: String::new(), chain_id: String::new(), timestamp: String::new() };
    shared.block.push_str(r#""blockHash":"0x"#);
    push_bytes(&mut shared.block, identity.hash.as_slice());
    shared.block.push_str(r#"","blockNumber":""#);
    push_quantity(&mut shared.block, identity.number.into());
    shared.block.push('"');
    push_quantity(&mut shared.chain_id, plan.chain_id.into());
    push_quantity(&mut shared.timestamp, identity.timestamp.into());
    let header = write_header(plan);
    let mut full = String::with_capacity(header.len() + plan.transfers.len() * TRANSACTION_BYTES);
    full.push_str(&header[..header.len() - 1]);
    full.push_str(r#","size":"0x400","uncles":[],"transactions":["#);
    for (index, transfer) in plan.transfers.iter().enumerate() {
        if index > 0 {
            full.push(',');
        }
        push_transaction(&mut full, &shared, transfer, index);
    }
    full.push_str("]}");
    Texts { header, full, receipts: write_receipts(plan, &shared) }
}

fn write_header(plan: &BlockPlan<'_>) -> String {
    let mut text = String::with_capacity(1_500);
    text.push_str(r#"{"hash":"0x"#);
    push_bytes(&mut text, plan.identity.hash.as_slice());
    text.push_str(r#"","parentHash":"0x"#);
    push_bytes(&mut text, plan.identity.parent_hash.as_slice());
    for (name, value) in [
        ("sha3Uncles", NO_UNCLES),
        ("miner", MINER),
        ("stateRoot", ZERO_HASH),
        ("transactionsRoot", ZERO_HASH),
        ("mixHash", ZERO_HASH),
        ("nonce", "0x0000000000000000"),
        ("difficulty", "0x0"),
        ("gasLimit", GAS_LIMIT),
        ("baseFeePerGas", BASE_FEE),
    ] {
        text.push_str("\",\"");
        text.push_str(name);
        text.push_str("\":\"");
        text.push_str(value);
    }
    text.push_str(r#"","receiptsRoot":"0x"#);
    push_bytes(&mut text, plan.receipts_root.as_slice());
    text.push_str(r#"","logsBloom":"#);
    push_bloom(&mut text, &plan.bloom);
    text.push_str(r#","extraData":"0x"#);
    push_bytes(&mut text, &plan.branch.to_be_bytes());
    for (name, value) in [
        ("number", plan.identity.number),
        ("gasUsed", plan.gas_used),
        ("timestamp", plan.identity.timestamp),
    ] {
        text.push_str("\",\"");
        text.push_str(name);
        text.push_str("\":\"");
        push_quantity(&mut text, value.into());
    }
    text.push_str("\"}");
    text
}

fn push_transaction(text: &mut String, shared: &Shared, transfer: &Transfer<'_>, index: usize) {
    text.push('{');
    text.push_str(&shared.block);
    text.push_str(r#","hash":"0x"#);
    push_bytes(text, &transfer.hash);
    text.push_str(r#"","type":"0x2","accessList":[],"gasPrice":""#);
    text.push_str(GAS_PRICE);
    text.push_str(r#"","maxFeePerGas":""#);
    text.push_str(GAS_PRICE);
    text.push_str(r#"","maxPriorityFeePerGas":"0x3b9aca00","chainId":""#);
    text.push_str(&shared.chain_id);
    text.push_str(r#"","transactionIndex":""#);
    push_quantity(text, index as u128);
    text.push_str(r#"","nonce":""#);
    push_quantity(text, index as u128);
    text.push_str(r#"","gas":""#);
    push_quantity(text, transfer.gas().into());
    text.push_str(r#"","from":"0x"#);
    text.push_str(&transfer.from.digits);
    text.push_str(r#"","to":"0x"#);
    match transfer.token {
        Some(token) => {
            text.push_str(&token.digits);
            text.push_str(r#"","value":"0x0","input":"0xa9059cbb000000000000000000000000"#);
            text.push_str(&transfer.to.digits);
            push_word(text, transfer.amount);
        }
        None => {
            text.push_str(&transfer.to.digits);
            text.push_str(r#"","value":""#);
            push_quantity(text, transfer.amount);
            text.push_str(r#"","input":"0x"#);
        }
    }
    text.push('"');
    text.push_str(SIGNATURE);
}

fn write_receipts(plan: &BlockPlan<'_>, shared: &Shared) -> String {
    let mut text = String::with_capacity(2 + plan.transfers.len() * RECEIPT_BYTES);
    let mut cumulative_gas = 0;
    let mut log_index = 0;
    text.push('[');
    for (index, transfer) in plan.transfers.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        cumulative_gas += transfer.gas();
        text.push('{');
        text.push_str(&shared.block);
        text.push_str(r#","transactionHash":"0x"#);
        push_bytes(&mut text, &transfer.hash);
        text.push_str(r#"","transactionIndex":""#);
        push_quantity(&mut text, index as u128);
        text.push_str(r#"","from":"0x"#);
        text.push_str(&transfer.from.digits);
        text.push_str(r#"","to":"0x"#);
        text.push_str(&transfer.token.unwrap_or(transfer.to).digits);
        text.push_str(r#"","cumulativeGasUsed":""#);
        push_quantity(&mut text, cumulative_gas.into());
        text.push_str(r#"","gasUsed":""#);
        push_quantity(&mut text, transfer.gas().into());
        text.push_str(r#"","effectiveGasPrice":""#);
        text.push_str(GAS_PRICE);
        text.push_str(r#"","contractAddress":null,"status":"0x1","type":"0x2","logsBloom":"#);
        push_bloom(&mut text, &transfer.bloom);
        text.push_str(r#","logs":["#);
        if let Some(token) = transfer.token {
            push_log(&mut text, shared, transfer, &token.digits, [index, log_index]);
            log_index += 1;
        }
        text.push_str("]}");
    }
    text.push(']');
    text
}

/// `indexes`: of the transaction, of the log.
fn push_log(
    text: &mut String,
    shared: &Shared,
    transfer: &Transfer<'_>,
    token: &str,
    indexes: [usize; 2],
) {
    text.push_str(r#"{"address":"0x"#);
    text.push_str(token);
    text.push_str(r#"","topics":["0x"#);
    text.push_str(TRANSFER_TOPIC);
    for party in [transfer.from, transfer.to] {
        text.push_str(r#"","0x000000000000000000000000"#);
        text.push_str(&party.digits);
    }
    text.push_str(r#""],"data":"0x"#);
    push_word(text, transfer.amount);
    text.push_str("\",");
    text.push_str(&shared.block);
    text.push_str(r#","blockTimestamp":""#);
    text.push_str(&shared.timestamp);
    text.push_str(r#"","transactionHash":"0x"#);
    push_bytes(text, &transfer.hash);
    text.push_str(r#"","transactionIndex":""#);
    push_quantity(text, indexes[0] as u128);
    text.push_str(r#"","logIndex":""#);
    push_quantity(text, indexes[1] as u128);
    text.push_str(r#"","removed":false}"#);
}

fn push_bloom(text: &mut String, bloom: &Bloom) {
    text.push_str("\"0x");
    push_bytes(text, bloom);
    text.push('"');
}
