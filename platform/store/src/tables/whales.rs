//! Large transfers that providers report.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "whales",
    key: &["chain", "hash", "sub_index", "source", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Signals,
    kinds: &[Kind::Whale],
};

/// In the key of a transfer that its provider does not count.
const NOT_COUNTED: i64 = -1;

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Whale(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("chain", &body.chain);
    row.text("hash", &body.hash);
    row.int8("sub_index", body.sub_index.map_or(NOT_COUNTED, i64::from));
    row.text("source", &body.source);
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.text_or_null("asset", body.asset.as_deref());
    row.text_or_null("symbol", body.symbol.as_deref());
    row.decimal_or_null("amount", body.amount.as_ref());
    row.decimal_or_null("amount_usd", body.amount_usd.as_ref());
    row.text_or_null("sender", body.from.as_deref());
    row.text_or_null("recipient", body.to.as_deref());
    row.text_or_null("sender_owner", body.from_owner.as_deref());
    row.text_or_null("recipient_owner", body.to_owner.as_deref());
    Ok(())
}
