//! Health of polled providers.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "provider_statuses",
    key: &["provider", "endpoint", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Status,
    kinds: &[Kind::ProviderStatus],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::ProviderStatus(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("provider", &body.provider);
    // All of the provider: a key has no NULL.
    row.text("endpoint", body.endpoint.as_deref().unwrap_or_default());
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.int8_or_null("latency_ms", body.latency_ms)?;
    row.int8_or_null("quota_used", body.quota_used)?;
    row.int8_or_null("quota_limit", body.quota_limit)?;
    row.int8_or_null("stale_seconds", body.stale_seconds)?;
    row.decimal_or_null("on_time_percent", body.on_time_percent.as_ref());
    row.text("state", body.state.as_str());
    row.text_or_null("quota_window", body.quota_window.map(|window| window.as_str()));
    row.text_or_null("detail", body.detail.as_deref());
    Ok(())
}
