//! Prices of assets.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "market_ticks",
    key: &["asset", "quote", "source", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Market,
    kinds: &[Kind::Price],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Price(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("asset", &body.asset);
    row.text("quote", &body.quote);
    row.text("source", &body.source);
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.decimal("price", &body.price);
    row.decimal_or_null("volume_24h", body.volume_24h.as_ref());
    row.decimal_or_null("market_cap", body.market_cap.as_ref());
    row.decimal_or_null("change_24h_percent", body.change_24h_percent.as_ref());
    Ok(())
}
