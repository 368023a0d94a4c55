//! Value moved inside contracts.

use std::fmt::Write as _;

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{
        common::{put_chain_key, put_transaction},
        retention_group::RetentionGroup,
        spec::TableSpec,
    },
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "internal_transfers",
    key: &["block_time", "block_number", "block_tag", "tx_index", "sub_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Transfers,
    kinds: &[Kind::InternalTransfer],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::InternalTransfer(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("tx_index", body.tx_index), ("sub_index", body.sub_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.bytes("tx_hash", body.tx_hash);
    row.address("sender", body.from);
    row.address("recipient", body.to);
    row.uint256("value", body.value);
    row.text("call_type", body.call_type.as_str());
    row.text("trace_address", &dotted(&body.trace_address));
    row.text_or_null("symbol", body.symbol.as_deref());
    row.decimal_or_null("amount", body.amount.as_ref());
    row.decimal_or_null("usd", body.usd.as_ref());
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}

fn dotted(places: &[u32]) -> String {
    let mut text = String::with_capacity(places.len() * 2);
    for (level, place) in places.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}{place}", if level > 0 { "." } else { "" });
    }
    text
}
