use crypto_intel_schemas::{Kind, Stream, patterns, subjects};
use crypto_intel_store::Table;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which streams become rows, and how.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Streams that are stored, each with a reader and a position of its own. An empty list stores nothing.
    pub streams: Vec<StreamSource>,
    /// Subjects whose events are streamed but not stored, such as `"evm.base.liquidity"`; those of the history lane are meant
    /// as well. How many were left out is counted. Default: none.
    pub not_stored: Vec<String>,
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

/// Which subjects are not stored.
#[derive(Debug, Clone, Default)]
pub struct NotStored {
    patterns: Vec<String>,
}

impl NotStored {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { patterns: config.not_stored.clone() }
    }

    /// Whether the events of a subject, of either lane, are left out.
    #[must_use]
    pub fn leaves_out(&self, subject: &str) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let live = subjects::live_of(subject);
        let subject = live.as_deref().unwrap_or(subject);
        self.patterns.iter().any(|pattern| patterns::matches(pattern, subject))
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
            not_stored: Vec::new(),
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

    /// Checks what the types cannot express.
    ///
    /// # Errors
    /// One sentence per problem, with the key, the problem and how to correct it.
    pub fn validate(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        for (place, pattern) in self.not_stored.iter().enumerate() {
            let key = format!("persist.not_stored[{place}]");
            if !patterns::is_pattern(pattern) {
                problems.push(format!(
                    "{key}: {pattern:?} is no pattern of subjects; write one such as \"evm.base.liquidity\""
                ));
            } else if patterns::overlaps(pattern, "evm.*.block") {
                problems.push(format!(
                    "{key}: {pattern:?} would leave out the markers of blocks, without which nothing of a chain is stored; name the kinds, such as \"evm.*.approval\""
                ));
            } else if pattern.starts_with("history.") {
                problems.push(format!(
                    "{key}: {pattern:?} is of the history lane, which follows the live one; write {:?}",
                    pattern.replacen("history.", "evm.", 1)
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ROLE;

    #[test]
    fn subjects_that_are_not_stored_are_those_of_both_lanes() {
        let not_stored = ["evm.base.liquidity", "evm.*.event.*"].map(ToOwned::to_owned).into();
        let config = Config { not_stored, ..Config::default() };
        config.validate().unwrap();
        let left_out = NotStored::of(&config);
        for (subject, expected) in [
            ("evm.base.liquidity", true),
            ("history.base.liquidity", true),
            ("history.ethereum.event.Deposit", true),
            ("evm.ethereum.liquidity", false),
            ("market.price.bitcoin", false),
        ] {
            assert_eq!(left_out.leaves_out(subject), expected, "{subject}");
        }
        for (wrong, part) in [
            ("evm.>", "markers"),
            ("evm..x", "no pattern"),
            ("history.base.swap", "\"evm.base.swap\""),
        ] {
            let config = Config { not_stored: vec![wrong.to_owned()], ..Config::default() };
            assert!(config.validate().unwrap_err()[0].contains(part), "{wrong}");
        }
    }

    #[test]
    fn the_role_may_read_the_streams_that_are_stored_by_default() {
        let stored: Vec<String> =
            Config::default().streams.into_iter().map(|source| source.stream).collect();
        let readable: Vec<&str> = ROLE.reads.iter().map(|stream| stream.name()).collect();
        assert_eq!(stored, readable);
    }
}
