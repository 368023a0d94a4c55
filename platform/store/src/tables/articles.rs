//! Articles of news providers.

use crypto_intel_schemas::{Event, Kind};

use crate::{
    copy_format::row_sink::{RowSink, Unstorable, refuse},
    tables::{retention_group::RetentionGroup, spec::TableSpec},
};

pub(super) const SPEC: TableSpec = TableSpec {
    name: "articles",
    key: &["link", "source", "event_at"],
    time_column: "event_at",
    partitioned: true,
    of_block: false,
    retention: RetentionGroup::Signals,
    kinds: &[Kind::Article],
};

pub(super) fn put(row: &mut impl RowSink, event: &Event) -> Result<(), Unstorable> {
    let Event::Article(body) = event else { return Err(refuse("kind", event.kind())) };
    row.text("link", &body.link);
    row.text("source", &body.source);
    row.time("event_at", body.event_at_us)?;
    row.end_key();
    row.time("observed_at", body.observed_at_us)?;
    row.text("title", &body.title);
    row.text_or_null("author", body.author.as_deref());
    row.text_or_null("publisher", body.publisher.as_deref());
    row.text_or_null("summary", body.summary.as_deref());
    row.texts_or_null("assets", &body.assets);
    row.texts_or_null("tags", &body.tags);
    Ok(())
}
