//! The history lane: final blocks of queued ranges, published beside live.

mod address;
pub mod audit_watermark;
pub(crate) mod batch;
pub(crate) mod fill;
pub mod queue;
mod schedule;
pub(crate) mod throttle;
