//! From events to rows. The order of the fields here is the order of [`Table::columns`](crate::Table).

use alloy_primitives::U256;
use crypto_intel_schemas::{
    Alert, Approval, Block, BlockFields, ContractCreation, Delivery, Erc20Transfer, Erc721Transfer,
    Erc1155Transfer, Event, Index, Log, NativeTransfer, Price, TransactionFields,
};

use crate::{
    Table,
    encode_dex::{put_contract_event, put_internal, put_liquidity, put_swap},
    encode_state::{put_jump, put_node_status, put_reorg},
    row::{RowWriter, Unstorable, refuse},
};

/// The table that an event is a row of; `None` for markers, ticks and the like.
pub(crate) fn table_of(event: &Event) -> Option<Table> {
    Some(match event {
        Event::Erc20Transfer(_) | Event::Erc721Transfer(_) | Event::Erc1155Transfer(_) => {
            Table::TokenTransfers
        }
        Event::NativeTransfer(_) => Table::NativeTransfers,
        Event::Approval(_) => Table::Approvals,
        Event::ContractCreation(_) => Table::Contracts,
        Event::InternalTransfer(_) => Table::InternalTransfers,
        Event::Swap(_) => Table::Swaps,
        Event::Liquidity(_) => Table::Liquidity,
        Event::ContractEvent(_) => Table::Events,
        Event::Log(_) => Table::Logs,
        Event::Price(_) => Table::MarketTicks,
        Event::Index(_) => Table::Indices,
        Event::NodeStatus(_) => Table::NodeStatus,
        Event::Reorg(_) => Table::Reorgs,
        Event::Jump(_) => Table::Jumps,
        Event::Alert(_) => Table::Alerts,
        Event::Delivery(_) => Table::Deliveries,
        Event::Block(_) | Event::Finalized(_) | Event::Tick(_) | Event::Notification(_) => {
            return None;
        }
    })
}

/// Appends the row of an event that [`table_of`] names a table for; returns the offset where its key ends.
/// On an error the buffer ends in the middle of a row.
pub(crate) fn put_event(out: &mut Vec<u8>, event: &Event) -> Result<usize, Unstorable> {
    match event {
        Event::Erc20Transfer(body) => put_erc20(out, body),
        Event::Erc721Transfer(body) => put_erc721(out, body),
        Event::Erc1155Transfer(body) => put_erc1155(out, body),
        Event::NativeTransfer(body) => put_native(out, body),
        Event::Approval(body) => put_approval(out, body),
        Event::ContractCreation(body) => put_contract(out, body),
        Event::InternalTransfer(body) => put_internal(out, body),
        Event::Swap(body) => put_swap(out, body),
        Event::Liquidity(body) => put_liquidity(out, body),
        Event::ContractEvent(body) => put_contract_event(out, body),
        Event::Log(body) => put_log(out, body),
        Event::Price(body) => put_price(out, body),
        Event::Index(body) => put_index(out, body),
        Event::NodeStatus(body) => put_node_status(out, body),
        Event::Reorg(body) => put_reorg(out, body),
        Event::Jump(body) => put_jump(out, body),
        Event::Alert(body) => put_alert(out, body),
        Event::Delivery(body) => put_delivery(out, body),
        Event::Block(_) | Event::Finalized(_) | Event::Tick(_) | Event::Notification(_) => {
            Err(refuse("kind", event.kind()))
        }
    }
}

pub(crate) fn writer(out: &mut Vec<u8>, table: Table) -> RowWriter<'_> {
    RowWriter::new(out, table.columns().len())
}

/// Chain, block hash, place in the block, block time: the key. Then what follows it in every table of block events.
pub(crate) fn put_chain_key(
    row: &mut RowWriter<'_>,
    block: &BlockFields<'_>,
    places: &[(&'static str, u32)],
    observed_at_us: i64,
) -> Result<usize, Unstorable> {
    row.text(block.chain);
    row.bytes(block.block_hash);
    for (column, place) in places {
        row.int4_from(column, *place)?;
    }
    row.time("block_time", block.block_time_us)?;
    let key_end = row.offset();
    row.time("observed_at", observed_at_us)?;
    row.int8_from("block_number", block.block_number)?;
    row.int8_from("chain_id", block.chain_id)?;
    Ok(key_end)
}

pub(crate) fn put_transaction(row: &mut RowWriter<'_>, transaction: &TransactionFields) {
    row.bytes_or_null(transaction.tx_from);
    row.bytes_or_null(transaction.tx_to);
    row.bytes_or_null(transaction.method);
}

fn put_erc20(out: &mut Vec<u8>, body: &Erc20Transfer) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::TokenTransfers);
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int4_from("tx_index", body.tx_index)?;
    match body.decimals {
        Some(decimals) => row.int2(i16::from(decimals)),
        None => row.null(),
    }
    row.boolean(body.token_verified);
    row.bytes(body.tx_hash);
    row.text("erc20");
    row.bytes(body.address);
    row.bytes(body.from);
    row.bytes(body.to);
    row.null();
    row.null();
    row.uint256(body.value.0);
    row.text_or_null(body.symbol.as_deref());
    row.decimal_or_null(body.amount.as_ref());
    row.decimal_or_null(body.usd.as_ref());
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_erc721(out: &mut Vec<u8>, body: &Erc721Transfer) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::TokenTransfers);
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.null();
    row.boolean(false);
    row.bytes(body.tx_hash);
    row.text("erc721");
    row.bytes(body.address);
    row.bytes(body.from);
    row.bytes(body.to);
    row.null();
    row.uint256(body.token_id.0);
    row.uint256(U256::from(1));
    for _ in ["symbol", "amount", "usd"] {
        row.null();
    }
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_erc1155(out: &mut Vec<u8>, body: &Erc1155Transfer) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::TokenTransfers);
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.null();
    row.boolean(false);
    row.bytes(body.tx_hash);
    row.text("erc1155");
    row.bytes(body.address);
    row.bytes(body.from);
    row.bytes(body.to);
    row.bytes(body.operator);
    row.uint256(body.token_id.0);
    row.uint256(body.value.0);
    for _ in ["symbol", "amount", "usd"] {
        row.null();
    }
    put_transaction(&mut row, &body.transaction_fields());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_native(out: &mut Vec<u8>, body: &NativeTransfer) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::NativeTransfers);
    let places = [("tx_index", body.tx_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.bytes(body.tx_hash);
    row.bytes(body.from);
    row.bytes(body.to);
    row.uint256(body.value.0);
    row.text(body.status.as_str());
    row.text_or_null(body.symbol.as_deref());
    row.decimal_or_null(body.amount.as_ref());
    row.decimal_or_null(body.usd.as_ref());
    row.bytes_or_null(body.method);
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_approval(out: &mut Vec<u8>, body: &Approval) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Approvals);
    let places = [("log_index", body.log_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.boolean_or_null(body.approved);
    row.bytes(body.tx_hash);
    row.text(body.standard.as_str());
    row.bytes(body.address);
    row.bytes(body.owner);
    row.bytes(body.spender);
    row.uint256_or_null(body.value.map(|value| value.0));
    row.uint256_or_null(body.token_id.map(|token_id| token_id.0));
    row.bytes_or_null(body.tx_from);
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_contract(out: &mut Vec<u8>, body: &ContractCreation) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Contracts);
    let places = [("tx_index", body.tx_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int8(i64::from(body.code_length));
    row.bytes(body.tx_hash);
    row.bytes(body.contract);
    row.bytes(body.creator);
    row.text(body.status.as_str());
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_log(out: &mut Vec<u8>, body: &Log) -> Result<usize, Unstorable> {
    if body.topics.len() > 4 {
        return Err(refuse("topics", body.topics.len()));
    }
    let mut row = writer(out, Table::Logs);
    let places = [("log_index", body.log_index)];
    let key_end = put_chain_key(&mut row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int8_or_null("data_length", body.data_length)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.boolean(body.truncated);
    row.bytes(body.tx_hash);
    row.bytes(body.address);
    for topic in 0..4 {
        row.bytes_or_null(body.topics.get(topic));
    }
    row.bytes(&body.data);
    row.bytes_or_null(body.data_keccak);
    row.text_or_null(body.reason.as_deref());
    row.bytes_or_null(body.tx_from);
    row.texts_or_null(&body.watched);
    row.finish();
    Ok(key_end)
}

fn put_price(out: &mut Vec<u8>, body: &Price) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::MarketTicks);
    row.text(&body.asset);
    row.text(&body.quote);
    row.text(&body.source);
    row.time("event_at", body.event_at_us)?;
    let key_end = row.offset();
    row.time("observed_at", body.observed_at_us)?;
    row.decimal(&body.price);
    row.decimal_or_null(body.volume_24h.as_ref());
    row.decimal_or_null(body.market_cap.as_ref());
    row.decimal_or_null(body.change_24h_percent.as_ref());
    row.finish();
    Ok(key_end)
}

fn put_index(out: &mut Vec<u8>, body: &Index) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Indices);
    row.text(&body.index);
    row.text(&body.source);
    row.time("event_at", body.event_at_us)?;
    let key_end = row.offset();
    row.time("observed_at", body.observed_at_us)?;
    row.decimal(&body.value);
    row.text_or_null(body.classification.as_deref());
    row.finish();
    Ok(key_end)
}

fn put_alert(out: &mut Vec<u8>, body: &Alert) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Alerts);
    row.text(&body.id);
    let key_end = row.offset();
    row.time("event_at", body.event_at_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.time("seen_at", body.seen_at_us)?;
    row.int8_or_null("block_number", body.block_number)?;
    row.int8(i64::from(body.n));
    row.text(&body.alert);
    row.text(&body.code);
    row.text(&body.rule);
    row.text(body.severity.as_str());
    row.text(body.state.as_str());
    row.text(&body.title);
    row.texts_or_null(&body.lines);
    if body.links.is_empty() {
        row.null();
    } else {
        // Two strings each: always JSON.
        row.json(&serde_json::to_string(&body.links).unwrap_or_else(|_| "[]".to_owned()));
    }
    row.texts_or_null(&body.routes);
    row.text(&body.event_id);
    row.text_or_null(body.chain.as_deref());
    row.bytes_or_null(body.block_hash);
    row.bytes_or_null(body.tx_hash);
    row.finish();
    Ok(key_end)
}

fn put_delivery(out: &mut Vec<u8>, body: &Delivery) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Deliveries);
    row.text(&body.id);
    let key_end = row.offset();
    row.time("done_at", body.done_at_us)?;
    row.time("seen_at", body.seen_at_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.int8(i64::from(body.attempts));
    row.text(&body.delivery);
    row.text(&body.destination);
    row.text(&body.channel);
    row.text(&body.alert);
    row.text(&body.rule);
    row.text(body.severity.as_str());
    row.text(body.state.as_str());
    row.text_or_null(body.message_id.as_deref());
    row.text_or_null(body.error.as_deref());
    row.finish();
    Ok(key_end)
}

/// Appends a row of `blocks`; returns the offset where its key ends.
pub(crate) fn put_block(
    out: &mut Vec<u8>,
    body: &Block,
    revision: i64,
    canonical: bool,
) -> Result<usize, Unstorable> {
    let mut row = writer(out, Table::Blocks);
    row.text(&body.chain);
    row.int8_from("block_number", body.block_number)?;
    row.bytes(body.block_hash);
    let key_end = row.offset();
    row.time("block_time", body.block_time_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.int8_from("chain_id", body.chain_id)?;
    row.int8(revision);
    row.int8_from("finalized_number", body.finalized_number)?;
    row.int8_or_null("safe_number", body.safe_number)?;
    row.int4_from("incarnation", body.incarnation)?;
    row.int4_from("event_rows", body.rows)?;
    row.int4_from("transactions", body.transactions)?;
    row.boolean(canonical);
    row.boolean(body.partial);
    row.bytes(body.parent_hash);
    row.uint256(U256::from(body.gas_used));
    row.uint256(U256::from(body.gas_limit));
    row.uint256_or_null(body.base_fee_per_gas.map(|fee| fee.0));
    row.bytes_or_null(body.miner);
    row.texts_or_null(&body.unverified);
    row.finish();
    Ok(key_end)
}
