//! Who changed what.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "audit",
    key: &["id"],
    time_column: "event_at",
    partitioned: false,
    of_block: false,
    retention: RetentionGroup::Audit,
    kinds: &[Kind::Audit],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Audit(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("id", &body.id);
    row.end_key();
    row.time("event_at", body.event_at_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.text("actor", &body.actor);
    row.text_or_null("key", body.key.as_deref());
    row.text("action", &body.action);
    row.text_or_null("target", body.target.as_deref());
    row.text("via", &body.via);
    row.text("origin", &body.origin);
    row.text_or_null("request", body.request.as_deref());
    row.text_or_null("before", body.before.as_deref());
    row.text_or_null("after", body.after.as_deref());
    Ok(())
}
