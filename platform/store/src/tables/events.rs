//! Decoded events of known ABIs.

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
    name: "events",
    key: &["block_time", "block_number", "block_tag", "log_index", "sub_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Events,
    kinds: &[Kind::ContractEvent],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::ContractEvent(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("log_index", body.log_index), ("sub_index", body.sub_index.unwrap_or(0))];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.bytes("tx_hash", body.tx_hash);
    row.address("address", body.address);
    row.text("abi", &body.abi);
    row.text("name", &body.name);
    row.text("signature", &body.signature);
    row.json("fields", &body.fields.to_json_text());
    put_transaction(row, &body.transaction_fields());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
