use crypto_intel_schemas::subjects;
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
    /// How long a block or a reorg whose rest has not arrived may hold back later messages, in milliseconds. Then it is stored
    /// as far as it came.
    pub patience_ms: u64,
    /// Lag above which `/ready` fails, in seconds.
    pub max_lag_seconds: u64,
}

/// A stream and the subjects of it that are stored.
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

impl Default for Config {
    fn default() -> Self {
        Self {
            streams: vec![
                StreamSource::new("EVM", &[subjects::EVM_ALL]),
                StreamSource::new("HISTORY", &[subjects::HISTORY_ALL]),
                StreamSource::new("MARKET", &[subjects::MARKET_ALL]),
                StreamSource::new("SIGNALS", &[subjects::SENTIMENT_ALL]),
                StreamSource::new("STATUS", &[subjects::NODE_STATUS_ALL]),
                StreamSource::new("ALERT", &[subjects::ALERT_ALL]),
                StreamSource::new("NOTIFY", &[subjects::NOTIFY_DONE_ALL]),
            ],
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
