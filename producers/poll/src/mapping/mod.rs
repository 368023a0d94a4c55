//! From an answer to events.

mod decimals;
pub(crate) mod document;
pub(crate) mod event_mapping;
mod feed;
pub(crate) mod filter;
mod plain_text;
