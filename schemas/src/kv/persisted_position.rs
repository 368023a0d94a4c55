use serde::{Deserialize, Serialize};

use crate::kv::key::escape_key;

/// How far persist stored a stream: a value of the bucket `cursors`, as JSON. Producers of history wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistedPosition {
    /// Sequence of the last stored message.
    pub sequence: u64,
    /// When this was written, microseconds UTC.
    #[serde(default)]
    pub at_us: i64,
}

impl PersistedPosition {
    /// The key of a stream.
    #[must_use]
    pub fn key(stream: &str) -> String {
        format!("persist.{}", escape_key(stream))
    }
}
