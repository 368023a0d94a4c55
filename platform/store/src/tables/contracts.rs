//! Contracts created by transactions.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "contracts",
    key: &["block_time", "block_number", "block_tag", "tx_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Contracts,
    kinds: &[Kind::ContractCreation],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::ContractCreation(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("tx_index", body.tx_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int8("code_length", i64::from(body.code_length));
    row.bytes("tx_hash", body.tx_hash);
    row.address("contract", body.contract);
    row.address("creator", body.creator);
    row.text("status", body.status.as_str());
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
