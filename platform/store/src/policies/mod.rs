//! Retention, compression and refreshes: compares `[storage]` with the policies in force, and applies the difference.

mod apply;
mod config;
mod expire;
pub(crate) mod plan;
pub(crate) mod rollups;

pub use apply::{apply, community_statements};
pub use config::{RetentionDays, StorageConfig};
pub use expire::{drop_expired, expiring_tables};
pub use plan::{PolicyChange, PolicyKind, Setting};
