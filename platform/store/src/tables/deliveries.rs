//! Outcomes of messages to destinations.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "deliveries",
    key: &["id"],
    time_column: "done_at",
    partitioned: false,
    of_block: false,
    retention: RetentionGroup::Alerts,
    kinds: &[Kind::Delivery],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Delivery(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("id", &body.id);
    row.end_key();
    row.time("done_at", body.done_at_us)?;
    row.time("seen_at", body.seen_at_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.int8("attempts", i64::from(body.attempts));
    row.text("delivery", &body.delivery);
    row.text("destination", &body.destination);
    row.text("channel", &body.channel);
    row.text("alert", &body.alert);
    row.text("rule", &body.rule);
    row.text("severity", body.severity.as_str());
    row.text("state", body.state.as_str());
    row.text_or_null("message_id", body.message_id.as_deref());
    row.text_or_null("error", body.error.as_deref());
    row.text_or_null("cause", body.cause.as_deref());
    Ok(())
}
