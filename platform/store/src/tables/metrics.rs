//! Numbers that providers give of chains, assets, protocols and pools.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "metrics",
    key: &["name", "key", "source", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Metrics,
    kinds: &[Kind::Metric],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Metric(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("name", &body.name);
    row.text("key", &body.key);
    row.text("source", &body.source);
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.decimal("value", &body.value);
    row.text("unit", &body.unit);
    let labels = (!body.labels.is_empty()).then(|| body.labels.to_json_text());
    row.json_or_null("labels", labels.as_deref());
    Ok(())
}
