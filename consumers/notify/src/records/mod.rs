//! What is kept of every message and destination.

pub(crate) mod anchor;
pub(crate) mod closed;
pub(crate) mod dead_letters;
pub(crate) mod delivery;
pub(crate) mod look_up;
pub(crate) mod record;
pub(crate) mod removed;
