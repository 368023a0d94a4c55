//! Gas of each block: a copy of what its marker says, for rollups.

use crypto_intel_schemas::{Block, Event, Uint256};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "block_gas",
    key: &["block_time", "block_number", "block_tag", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Gas,
    kinds: &[],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    match event {
        Event::Block(marker) => put_block_gas(row, marker),
        other => Err(refuse("kind", other.kind())),
    }
}

pub(crate) fn put_block_gas(row: &mut impl RowSink, body: &Block) -> Result<(), Unstorable> {
    put_chain_key(row, &body.block_fields(), &[])?;
    row.int4_from("transactions", body.transactions)?;
    row.uint256("gas_used", Uint256::from(body.gas_used));
    row.uint256("gas_limit", Uint256::from(body.gas_limit));
    row.uint256_or_null("base_fee_per_gas", body.base_fee_per_gas);
    Ok(())
}
