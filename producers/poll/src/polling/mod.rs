//! One endpoint, slot by slot, under the quota of its provider.

pub(crate) mod poller;
pub(crate) mod progress;
pub(crate) mod schedule;
pub(crate) mod throttle;
