//! The past of endpoints that have one: asked for range by range, beside live polling, and published on the history lane.

pub(crate) mod chunks;
pub(crate) mod dry_run;
pub(crate) mod metrics;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod span;
