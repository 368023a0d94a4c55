//! Approvals: which spender may move an owner's tokens.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "approvals",
    key: &["chain", "block_hash", "log_index", "block_time"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Contracts,
    kinds: &[Kind::Approval],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Approval(body) = event else { return Err(refuse("kind", event.kind())) };
    let places = [("log_index", body.log_index)];
    put_chain_key(row, &body.block_fields(), &places, body.observed_at_us)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.boolean_or_null("approved", body.approved);
    row.bytes("tx_hash", body.tx_hash);
    row.text("standard", body.standard.as_str());
    row.address("token", body.address);
    row.address("owner", body.owner);
    row.address("spender", body.spender);
    row.uint256_or_null("value", body.value);
    row.uint256_or_null("token_id", body.token_id);
    row.address_or_null("tx_from", body.tx_from);
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
