//! Raw logs.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{common::put_chain_key, retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "logs",
    key: &["block_time", "block_number", "block_tag", "log_index", "chain"],
    time_column: "block_time",
    partitioned: true,
    of_block: true,
    retention: RetentionGroup::Events,
    kinds: &[Kind::Log],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Log(body) = event else { return Err(refuse("kind", event.kind())) };
    if body.topics.len() > 4 {
        return Err(refuse("topics", body.topics.len()));
    }
    let places = [("log_index", body.log_index)];
    put_chain_key(row, &body.block_fields(), &places)?;
    row.int8_or_null("data_length", body.data_length)?;
    row.int4_from("tx_index", body.tx_index)?;
    row.boolean("truncated", body.truncated);
    row.bytes("tx_hash", body.tx_hash);
    row.address("address", body.address);
    row.bytes_or_null("topic0", body.topics.first());
    row.bytes_or_null("topic1", body.topics.get(1));
    row.bytes_or_null("topic2", body.topics.get(2));
    row.bytes_or_null("topic3", body.topics.get(3));
    row.bytes("data", &body.data);
    row.bytes_or_null("data_keccak", body.data_keccak);
    row.text_or_null("reason", body.reason.as_deref());
    row.address_or_null("tx_from", body.tx_from);
    row.texts_or_null("watched", &body.watched);
    Ok(())
}
