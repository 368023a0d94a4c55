//! Keys of the bucket `leases`: what has one active instance each.

use crate::kv::key::escape_key;

/// Alerts, all rules of it.
pub const ALERTS: &str = "alerts";
/// What keys of persist begin with.
pub const PERSIST: &str = "persist.";

/// The producer of a chain, by the name of its family.
#[must_use]
pub fn chain(family: &str, chain: &str) -> String {
    format!("{family}.{chain}")
}

/// The part of persist that stores a stream, or does another task of that name.
#[must_use]
pub fn persist(task: &str) -> String {
    format!("{PERSIST}{}", escape_key(task))
}
