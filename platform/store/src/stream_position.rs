//! How far a stream has been applied, as recorded in the table `positions`.

use tokio_postgres::Row;

/// How far a stream has been applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct StreamPosition {
    /// Stream sequence of the last message applied; 0 = nothing.
    pub sequence: u64,
    /// When the stream stored it, microseconds since 1970; 0 with sequence 0.
    pub stored_at_us: i64,
    /// Highest block revision given out so far.
    pub revision: i64,
}

impl StreamPosition {
    /// From a row that begins with `sequence, stored_at_us, revision`.
    pub(crate) fn from_row(row: &Row) -> Self {
        Self {
            sequence: row.get::<_, i64>(0).unsigned_abs(),
            stored_at_us: row.get(1),
            revision: row.get(2),
        }
    }

    /// The sequence as a `bigint`. Sequences count messages: they stay far below 2^63.
    pub(crate) fn sequence_as_i64(self) -> i64 {
        i64::try_from(self.sequence).unwrap_or(i64::MAX)
    }
}

/// A row of `positions`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PositionRow {
    /// Name of the stream.
    pub stream: String,
    /// Stream sequence of the last message applied; 0 = nothing.
    pub sequence: u64,
    /// When the stream stored it, microseconds since 1970.
    pub stored_at_us: i64,
    /// When the position last moved, microseconds since 1970.
    pub updated_at_us: i64,
}
