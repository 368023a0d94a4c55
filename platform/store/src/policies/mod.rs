//! Retention, compression and refreshes: what `[storage]` says, compared with what is in force.

mod apply;
mod config;
mod expire;
mod plan;

pub use apply::community_statements;
pub use config::{RetentionDays, StorageConfig};
pub use plan::{PolicyChange, PolicyKind, Setting};

/// Names of the rollups that a continuous aggregate can be.
pub(crate) fn rollup_names() -> impl Iterator<Item = &'static str> {
    plan::ROLLUPS.iter().map(|rollup| rollup.name)
}

/// Width of a bucket of one of these, seconds.
pub(crate) fn rollup_width_seconds(name: &str) -> Option<i64> {
    plan::ROLLUPS.iter().find(|rollup| rollup.name == name).map(|rollup| rollup.width)
}
