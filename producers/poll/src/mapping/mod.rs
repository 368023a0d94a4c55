//! From an answer to events.

pub(crate) mod event_mapping;
pub(crate) mod filter;
