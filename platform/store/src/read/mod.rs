//! Queries. Nothing here writes.

pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod balances;
pub(crate) mod latency;
pub(crate) mod positions;
mod row_counts;
