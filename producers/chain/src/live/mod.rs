//! Following the head: resuming, extending, retracting, jumping.

pub(crate) mod ahead;
pub mod ahead_budget;
pub(crate) mod assemble;
pub(crate) mod block_events;
pub(crate) mod confirm;
pub(crate) mod follow;
pub(crate) mod jump;
pub(crate) mod resume;
pub(crate) mod retract;
pub(crate) mod retraction_margin;
