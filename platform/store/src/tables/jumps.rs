//! Ranges that the live lane left to the history lane.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_lasting_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "jumps",
    key: &["chain", "block_hash", "incarnation", "block_time"],
    time_column: "block_time",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Gas,
    kinds: &[Kind::Jump],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Jump(body) = event else { return Err(refuse("kind", event.kind())) };
    put_lasting_key(row, &body.block_fields(), body.incarnation, body.observed_at_us)?;
    row.int8_from("from_number", body.from_number)?;
    row.int8_from("to_number", body.to_number)?;
    Ok(())
}
