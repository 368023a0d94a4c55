//! From batches to rows: one transaction for each, and what cannot be stored to the dead letters.

pub(crate) mod applier;
pub(crate) mod dead_letters;
pub(crate) mod plan;
mod refused_rows;
mod write;
