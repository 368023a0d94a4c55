//! Every block that was ever seen, canonical or not.

use crypto_intel_schemas::{Block, Event, Uint256};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "blocks",
    key: &["chain", "block_number", "block_hash"],
    time_column: "block_time",
    partitioned: false,
    of_block: false,
    retention: RetentionGroup::Blocks,
    kinds: &[],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    match event {
        // Only for the list of columns: revision and state of a real row come from `add_block`.
        Event::Block(marker) => put_block(row, marker, 0, true),
        other => Err(refuse("kind", other.kind())),
    }
}

pub(crate) fn put_block(
    row: &mut impl RowSink,
    body: &Block,
    revision: i64,
    canonical: bool,
) -> Result<(), Unstorable> {
    row.text("chain", &body.chain);
    row.int8_from("block_number", body.block_number)?;
    row.bytes("block_hash", body.block_hash);
    row.end_key();
    row.time("block_time", body.block_time_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.int8_from("chain_id", body.chain_id)?;
    row.int8("revision", revision);
    row.int8_from("finalized_number", body.finalized_number)?;
    row.int8_or_null("safe_number", body.safe_number)?;
    row.int4_from("incarnation", body.incarnation)?;
    row.int4_from("event_rows", body.rows)?;
    row.int4_from("transactions", body.transactions)?;
    row.boolean("canonical", canonical);
    row.boolean("partial", body.partial);
    row.bytes("parent_hash", body.parent_hash);
    row.uint256("gas_used", Uint256::from(body.gas_used));
    row.uint256("gas_limit", Uint256::from(body.gas_limit));
    row.uint256_or_null("base_fee_per_gas", body.base_fee_per_gas);
    row.address_or_null("miner", body.miner);
    row.texts_or_null("unverified", &body.unverified);
    match body.scope_version {
        Some(version) => row.int4_from("scope_version", version)?,
        None => row.int4_or_null("scope_version", None),
    }
    row.text_or_null("scope_digest", body.scope_digest.as_deref());
    row.int8_or_null("covers_from", body.covers_from)?;
    Ok(())
}
