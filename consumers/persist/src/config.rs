use crypto_intel_schemas::{Kind, Stream};
use crypto_intel_store::Table;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which streams become rows, and how.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Streams that are stored, each with a reader and a position of its own. An empty list stores nothing.
    pub streams: Vec<StreamSource>,
    /// Maximum number of events in one transaction; a larger block is still stored as a whole.
    pub max_batch_events: usize,
    /// How long an incomplete block or reorg may hold back later messages, in milliseconds. Then the part that has arrived is
    /// stored.
    pub patience_ms: u64,
    /// Lag above which `/ready` fails, in seconds.
    pub max_lag_seconds: u64,
}

/// A stream and which of its subjects are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamSource {
    /// Name of the stream.
    pub stream: String,
    /// Subjects that are read. Copies (`watch.>`) and ticks have no tables.
    pub filters: Vec<String>,
}

impl StreamSource {
    /// A stream and its filters.
    #[must_use]
    pub fn new(stream: &str, filters: &[&str]) -> Self {
        Self {
            stream: stream.to_owned(),
            filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
        }
    }
}

/// A stream with filters for every kind that has a table; `None` where it carries no such kind.
fn stored_of(stream: Stream) -> Option<StreamSource> {
    let stored = Kind::ALL.iter().filter(|kind| Table::of_kind(**kind).is_some());
    let streams = stored.flat_map(|kind| kind.streams());
    let mut filters: Vec<&str> =
        streams.filter(|(of, _)| *of == stream).map(|(_, filter)| *filter).collect();
    filters.sort_unstable();
    filters.dedup();
    (!filters.is_empty()).then(|| StreamSource::new(stream.name(), &filters))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            streams: Stream::ALL.into_iter().filter_map(stored_of).collect(),
            max_batch_events: 5_000,
            patience_ms: 1_000,
            max_lag_seconds: 60,
        }
    }
}

impl Config {
    /// Whether there is anything to store.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.streams.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ROLE;

    #[test]
    fn the_role_may_read_the_streams_that_are_stored_by_default() {
        let stored: Vec<String> =
            Config::default().streams.into_iter().map(|source| source.stream).collect();
        let readable: Vec<&str> = ROLE.reads.iter().map(|stream| stream.name()).collect();
        assert_eq!(stored, readable);
    }
}
