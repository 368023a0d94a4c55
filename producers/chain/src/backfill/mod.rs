//! The history lane: final blocks of queued ranges, published beside live.

pub mod audit_watermark;
pub(crate) mod batch;
pub(crate) mod fill;
pub mod past_records;
mod pasts;
pub mod queue;
pub mod request;
mod schedule;
mod sweep;
pub(crate) mod throttle;
