//! Reorganisations of chains.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_lasting_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "reorgs",
    key: &["chain", "block_hash", "incarnation", "block_time"],
    time_column: "block_time",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Gas,
    kinds: &[Kind::Reorg],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Reorg(body) = event else { return Err(refuse("kind", event.kind())) };
    put_lasting_key(row, &body.block_fields(), body.incarnation, body.observed_at_us)?;
    row.int8_from("ancestor_number", body.ancestor.number)?;
    row.int4_from("depth", body.depth)?;
    row.bytes("ancestor_hash", body.ancestor.hash);
    row.hashes("dropped", &body.dropped.iter().map(|block| block.hash).collect::<Vec<_>>());
    Ok(())
}
