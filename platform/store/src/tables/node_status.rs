//! Health of RPC endpoints.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "node_status",
    key: &["chain", "endpoint", "instance", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Status,
    kinds: &[Kind::NodeStatus],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::NodeStatus(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("chain", &body.chain);
    row.text("endpoint", &body.endpoint);
    row.text("instance", &body.instance);
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.int8_or_null("head", body.head)?;
    row.int8_or_null("lag_blocks", body.lag_blocks)?;
    row.int8_or_null("latency_ms", body.latency_ms)?;
    row.int4_from("error_percent", body.error_percent)?;
    row.boolean("connected", body.connected);
    row.boolean("serving", body.serving);
    row.text("role", &body.role);
    row.text("reason", &body.reason);
    row.text("breaker", &body.breaker);
    row.text_or_null("error", body.error.as_deref());
    Ok(())
}
