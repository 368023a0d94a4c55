//! Alerts that rules fired.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "alerts",
    key: &["id"],
    time_column: "observed_at",
    partitioned: false,
    of_block: false,
    retention: RetentionGroup::Alerts,
    kinds: &[Kind::Alert],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Alert(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("id", &body.id);
    row.end_key();
    row.time("event_at", body.event_at_us)?;
    row.time("observed_at", body.observed_at_us)?;
    row.time("seen_at", body.seen_at_us)?;
    row.int8_or_null("block_number", body.block_number)?;
    row.int8("n", i64::from(body.n));
    row.text("alert", &body.alert);
    row.text("code", &body.code);
    row.text("rule", &body.rule);
    row.text("severity", body.severity.as_str());
    row.text("state", body.state.as_str());
    row.text("title", &body.title);
    row.texts_or_null("lines", &body.lines);
    // Pairs of strings always serialize.
    let links =
        (!body.links.is_empty()).then(|| serde_json::to_string(&body.links).unwrap_or_default());
    row.json_or_null("links", links.as_deref());
    row.texts_or_null("routes", &body.routes);
    let labels = (!body.labels.is_empty()).then(|| body.labels.to_json_text());
    row.json_or_null("labels", labels.as_deref());
    row.boolean("ongoing", body.ongoing);
    row.text("event_id", &body.event_id);
    row.text_or_null("chain", body.chain.as_deref());
    row.bytes_or_null("block_hash", body.block_hash);
    row.bytes_or_null("tx_hash", body.tx_hash);
    Ok(())
}
