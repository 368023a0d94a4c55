//! Messages of a chain to its stream, and back from it.

pub(crate) mod batch_limit;
pub mod history_lane;
pub(crate) mod lane;
pub(crate) mod messages;
pub(crate) mod publish;
pub(crate) mod publisher;
pub(crate) mod subjects;
