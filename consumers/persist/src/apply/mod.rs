//! From batches to rows: one transaction per batch; messages that cannot be stored become dead letters.

pub(crate) mod applier;
pub(crate) mod dead_letters;
pub(crate) mod plan;
mod refused_rows;
mod write;
