//! Named indices.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "indices",
    key: &["index_name", "source", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Market,
    kinds: &[Kind::Index],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Index(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("index_name", &body.index);
    row.text("source", &body.source);
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.decimal("value", &body.value);
    row.text_or_null("classification", body.classification.as_deref());
    Ok(())
}
