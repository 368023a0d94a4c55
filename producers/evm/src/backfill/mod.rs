//! The history lane: final blocks of queued ranges, published beside live.

pub(crate) mod address;
pub(crate) mod audit_watermark;
pub(crate) mod contracts;
pub(crate) mod factories;
pub(crate) mod queue;
pub(crate) mod throttle;
pub(crate) mod untraced;
pub(crate) mod untraced_gap;
pub(crate) mod worker;
