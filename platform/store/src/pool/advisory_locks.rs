//! Numbers of the advisory locks that this crate takes. Any numbers will do, as long as they differ.

/// Held while migrating, changing policies and swapping tables: refinery takes no lock, and two processes that start at
/// once would race.
pub(crate) const MIGRATION_LOCK: i64 = 0x6372_7970_746f;

/// Seed of the hash that turns a range of a chain's heights into the number of its lock.
pub(crate) const HEIGHT_LOCK_SEED: i64 = 98;
