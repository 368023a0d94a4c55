//! Keys of the bucket `leases`: the tasks that have one active instance each.

use crate::kv::key::escape_key;

/// The role `alerts`, with all its rules.
pub const ALERTS: &str = "alerts";
/// Prefix of the keys of persist.
pub const PERSIST: &str = "persist.";

/// The producer of a chain, by the name of its family.
#[must_use]
pub fn chain(family: &str, chain: &str) -> String {
    format!("{family}.{chain}")
}

/// The task of persist that stores a stream, or another task of that name.
#[must_use]
pub fn persist(task: &str) -> String {
    format!("{PERSIST}{}", escape_key(task))
}
