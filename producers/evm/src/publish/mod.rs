//! Events to messages, and messages to the stream.

pub(crate) mod batches;
pub(crate) mod encode;
