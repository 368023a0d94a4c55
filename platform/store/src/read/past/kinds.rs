//! From the columns of a table to the fields of an event, and which fields no table keeps.

use crypto_intel_schemas::{
    Address, Balance, Block, Decimal, Event, Kind, U256, balance_event_id, chain_event_id,
    log_event_id, polled_event_id, transaction_event_id,
};
use serde_json::{Value, json};

use super::body::{Body, address, hash, number, text};
use crate::tables::Table;

/// What is known of two sides when an event is published.
const SIDES: &[&str] = &["from_label", "to_label", "from_tags", "to_tags"];
const SIDES_AND_TX_TO: &[&str] = &["from_label", "to_label", "from_tags", "to_tags", "tx_to"];
const SIDES_TX_TO_METHOD: &[&str] =
    &["from_label", "to_label", "from_tags", "to_tags", "tx_to", "method"];

/// Fields of a kind that its table does not have, so that an event of the past lacks them.
#[must_use]
pub fn fields_not_kept(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Block => &["messages", "announced", "watched"],
        Kind::Finalized => &["finalized_hash", "watched"],
        Kind::Reorg | Kind::Jump => &["watched"],
        Kind::NativeTransfer => SIDES_AND_TX_TO,
        Kind::Approval => SIDES_TX_TO_METHOD,
        Kind::ContractCreation => &["tx_to", "method"],
        Kind::Log => &["tx_to", "method"],
        Kind::Alert => &["addresses", "chart"],
        Kind::Erc20Transfer
        | Kind::Erc721Transfer
        | Kind::Erc1155Transfer
        | Kind::InternalTransfer
        | Kind::Swap
        | Kind::Transaction => SIDES,
        _ => &[],
    }
}

/// The event of a row. `block` is the marker of its block, for events of blocks.
///
/// # Errors
/// When the row is no event of this version.
pub(super) fn event_of(
    table: Table,
    mut body: Body,
    block: Option<&Block>,
) -> Result<Event, serde_json::Error> {
    let kind = kind_of(table, &body);
    if let Some(block) = block {
        put_block_fields(&mut body, block);
    }
    match table {
        Table::TokenTransfers => token_transfer(&mut body, kind),
        Table::NativeTransfers => {
            sides(&mut body);
            status_of(&mut body, true);
            copy(&mut body, "from", "tx_from");
        }
        Table::InternalTransfers => {
            sides(&mut body);
            let places: Vec<u32> = text(&body, "trace_address")
                .split('.')
                .filter_map(|place| place.parse().ok())
                .collect();
            body.insert("trace_address".into(), places.into());
        }
        Table::Approvals => {
            rename(&mut body, "token", "address");
            let standard = standard_of(&mut body);
            body.insert("standard".into(), standard.into());
        }
        Table::Contracts => copy(&mut body, "creator", "tx_from"),
        Table::Transactions => transaction(&mut body),
        Table::Swaps => rename(&mut body, "pool", "address"),
        Table::Logs => {
            let topics = ["topic0", "topic1", "topic2", "topic3"];
            let topics: Vec<Value> =
                topics.into_iter().filter_map(|topic| body.remove(topic)).collect();
            body.insert("topics".into(), topics.into());
        }
        Table::Events => drop_zero(&mut body, "sub_index"),
        Table::Blocks => marker(&mut body),
        Table::Reorgs => reorg(&mut body),
        Table::Jumps => of_its_block(&mut body),
        Table::Balances => balance(&mut body),
        Table::Indices => rename(&mut body, "index_name", "index"),
        Table::Whales => whale(&mut body),
        Table::ProviderStatuses => {
            body.retain(|name, value| name != "endpoint" || value != "");
            body.insert("source".into(), "poll".into());
        }
        Table::Alerts => drop(body.insert("source".into(), "alerts".into())),
        _ => {}
    }
    finish(kind, body)
}

/// The event that says that the finalized block moved with this marker.
pub(super) fn finalized(block: &Block) -> Result<Event, serde_json::Error> {
    let mut body = Body::new();
    put_block_fields(&mut body, block);
    body.insert("finalized_number".into(), block.finalized_number.into());
    if let Some(safe) = block.safe_number {
        body.insert("safe_number".into(), safe.into());
    }
    finish(Kind::Finalized, body)
}

fn kind_of(table: Table, body: &Body) -> Kind {
    match (table, number(body, "erc")) {
        (Table::Blocks, _) => Kind::Block,
        (Table::TokenTransfers, 721) => Kind::Erc721Transfer,
        (Table::TokenTransfers, 1_155) => Kind::Erc1155Transfer,
        // A table of one kind, or of ERC-20.
        _ => table.spec().kinds.first().copied().unwrap_or(Kind::Block),
    }
}

/// Completes what all bodies have; its id is made as its producer makes it.
fn finish(kind: Kind, mut body: Body) -> Result<Event, serde_json::Error> {
    body.insert("kind".into(), kind.as_str().into());
    body.insert("version".into(), kind.version().into());
    body.entry("source").or_insert_with(|| "evm".into());
    body.entry("id").or_insert_with(|| "".into());
    let mut event = Event::from_json(&Value::Object(body))?;
    if event.id().is_empty() {
        let id = id_of(&event);
        event.set_id(id);
    }
    Ok(event)
}

fn id_of(event: &Event) -> String {
    let kind = event.kind();
    if let Event::Balance(body) = event {
        return balance_event_id(&body.chain, &body.block_hash, &body.address, &body.asset);
    }
    let Some(block) = event.block_fields() else {
        return polled_event_id(event.source(), kind, &event.key(), event.event_at_us());
    };
    let (chain, hash) = (block.chain, &block.block_hash);
    let sub_index = match event {
        Event::InternalTransfer(body) => Some(body.sub_index),
        _ => None,
    };
    match (event.log_fields(), event.transaction_fields()) {
        (Some(log), _) => log_event_id(chain, hash, kind, log.log_index, log.sub_index),
        (None, Some(tx)) => transaction_event_id(chain, hash, kind, tx.tx_index, sub_index),
        (None, None) => chain_event_id(chain, hash, kind),
    }
}

/// What a row leaves to its block.
fn put_block_fields(body: &mut Body, block: &Block) {
    body.insert("event_at_us".into(), block.block_time_us.into());
    body.insert("observed_at_us".into(), block.observed_at_us.into());
    body.insert("chain".into(), block.chain.clone().into());
    body.insert("chain_id".into(), block.chain_id.into());
    body.insert("block_number".into(), block.block_number.into());
    body.insert("block_hash".into(), format!("{:#x}", block.block_hash).into());
    body.insert("block_time_us".into(), block.block_time_us.into());
    body.insert("removed".into(), false.into());
    body.insert("incarnation".into(), block.incarnation.into());
}

/// The same where the row has its block's columns itself.
fn of_its_block(body: &mut Body) {
    copy(body, "block_time_us", "event_at_us");
    body.insert("removed".into(), false.into());
}

fn marker(body: &mut Body) {
    of_its_block(body);
    rename(body, "event_rows", "rows");
    body.insert("messages".into(), 0.into());
    for name in ["gas_used", "gas_limit"] {
        let units: u64 = text(body, name).parse().unwrap_or_default();
        body.insert(name.into(), units.into());
    }
}

fn reorg(body: &mut Body) {
    of_its_block(body);
    let ancestor = number(body, "ancestor_number");
    let ancestor_hash = body.remove("ancestor_hash").unwrap_or_default();
    body.insert("ancestor".into(), json!({ "number": ancestor, "hash": ancestor_hash }));
    let hashes = match body.remove("dropped") {
        Some(Value::Array(hashes)) => hashes,
        _ => Vec::new(),
    };
    // Newest first: the last one follows the ancestor.
    let heights = (1..=hashes.len() as i64).rev().map(|above| ancestor + above);
    let dropped: Vec<Value> = heights
        .zip(hashes)
        .map(|(number, hash)| json!({ "number": number, "hash": hash }))
        .collect();
    body.insert("dropped".into(), dropped.into());
}

fn token_transfer(body: &mut Body, kind: Kind) {
    rename(body, "token", "address");
    sides(body);
    drop_zero(body, "sub_index");
    match kind {
        Kind::Erc20Transfer => put_amount(body, "value", "amount"),
        Kind::Erc721Transfer => drop(body.remove("value")),
        _ => {}
    }
}

fn transaction(body: &mut Body) {
    rename(body, "sender", "tx_from");
    rename(body, "recipient", "tx_to");
    status_of(body, false);
    put_amount(body, "value", "amount");
    put_amount(body, "fee", "fee_amount");
}

fn balance(body: &mut Body) {
    copy(body, "block_time_us", "event_at_us");
    rename(body, "token", "asset");
    if address(body, "asset") == Address::ZERO {
        body.insert("asset".into(), Balance::NATIVE.into());
    }
    put_amount(body, "raw", "amount");
}

fn whale(body: &mut Body) {
    sides(body);
    for (column, field) in [("sender_owner", "from_owner"), ("recipient_owner", "to_owner")] {
        rename(body, column, field);
    }
    // A key has no NULL.
    body.retain(|name, value| name != "sub_index" || value.as_i64().is_some_and(|at| at >= 0));
}

fn sides(body: &mut Body) {
    rename(body, "sender", "from");
    rename(body, "recipient", "to");
}

/// `succeeded` as the status on the wire; where it is not known, `unknown` for kinds that always have one.
fn status_of(body: &mut Body, always: bool) {
    let status = match body.remove("succeeded") {
        Some(Value::Bool(true)) => "success",
        Some(Value::Bool(false)) => "failed",
        _ if always => "unknown",
        _ => return,
    };
    body.insert("status".into(), status.into());
}

fn standard_of(body: &mut Body) -> &'static str {
    match number(body, "erc") {
        20 => "erc20",
        721 => "erc721",
        1_155 => "erc1155",
        _ => "unknown",
    }
}

/// Whole tokens, where the decimals are known.
fn put_amount(body: &mut Body, raw: &str, amount: &str) {
    let decimals = body.get("decimals").and_then(Value::as_u64);
    let Some(decimals) = decimals.and_then(|decimals| u8::try_from(decimals).ok()) else { return };
    let Ok(units) = U256::from_str_radix(text(body, raw), 10) else { return };
    if body.contains_key(raw) {
        let whole = Decimal::from_units(units, decimals);
        body.insert(amount.into(), whole.as_str().into());
    }
}

fn drop_zero(body: &mut Body, name: &str) {
    if number(body, name) == 0 {
        body.remove(name);
    }
}

fn rename(body: &mut Body, from: &str, to: &str) {
    if let Some(value) = body.remove(from) {
        body.insert(to.into(), value);
    }
}

fn copy(body: &mut Body, from: &str, to: &str) {
    if let Some(value) = body.get(from).cloned() {
        body.insert(to.into(), value);
    }
}

/// The block that a row belongs to, as its key names it: time, height and tag.
pub(super) fn key_of(body: &Body) -> (i64, i64, i64) {
    (number(body, "block_time_us"), number(body, "block_number"), number(body, "block_tag"))
}

/// The same of a marker's row.
pub(super) fn key_of_marker(body: &Body) -> (i64, i64, i64) {
    let tag = crate::tables::common::block_tag(&hash(body, "block_hash"));
    (number(body, "block_time_us"), number(body, "block_number"), i64::from(tag))
}

/// The place of an event in its block: that of its transaction, then what the transaction itself does, payments inside it,
/// its logs.
#[must_use]
pub fn place_of(event: &Event) -> (u32, u32, u32, u32) {
    let tx_index = event.transaction_fields().map_or(u32::MAX, |transaction| transaction.tx_index);
    match event {
        Event::Transaction(_) => (tx_index, 0, 0, 0),
        Event::NativeTransfer(_) => (tx_index, 1, 0, 0),
        Event::ContractCreation(_) => (tx_index, 2, 0, 0),
        Event::InternalTransfer(body) => (tx_index, 3, body.sub_index, 0),
        other => {
            let log = other.log_fields();
            let sub_index = log.and_then(|log| log.sub_index).unwrap_or_default();
            (tx_index, 4, log.map_or(0, |log| log.log_index), sub_index)
        }
    }
}
