//! What the file of a table declares.

use crypto_intel_schemas::Kind;

use crate::tables::retention_group::RetentionGroup;

/// A table's specification.
#[derive(Debug)]
pub struct TableSpec {
    /// The name in the database.
    pub name: &'static str,
    /// Columns of its key: rows begin with them, in this order.
    pub key: &'static [&'static str],
    /// The column that says how old a row is.
    pub time_column: &'static str,
    /// Whether it is a hypertable on TimescaleDB.
    pub partitioned: bool,
    /// Whether its rows belong to a block and are deleted with it.
    pub of_block: bool,
    /// The setting that says how long rows are kept.
    pub retention: RetentionGroup,
    /// Kinds of the events that it stores; none where rows are made from markers.
    pub kinds: &'static [Kind],
}
