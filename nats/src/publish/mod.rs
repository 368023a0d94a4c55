//! Messages to streams.

pub(crate) mod audit;
pub(crate) mod dead_letter;
pub(crate) mod messages;
pub(crate) mod once;
pub(crate) mod windowed_publisher;
