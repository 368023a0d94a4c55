//! When something may be sent, and whether at all.

pub(crate) mod gate;
pub(crate) mod limiter;
