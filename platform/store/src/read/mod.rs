//! Queries. Nothing here writes.

pub(crate) mod alert_counts;
pub(crate) mod alert_pages;
pub(crate) mod alerts;
pub(crate) mod approvals;
pub(crate) mod articles;
mod ask;
pub(crate) mod audit;
pub(crate) mod audit_trail;
pub(crate) mod balances;
pub(crate) mod chains;
pub(crate) mod gas;
pub(crate) mod graph;
pub(crate) mod hours;
pub(crate) mod jumps;
pub(crate) mod labels;
pub(crate) mod latency;
pub(crate) mod market;
pub(crate) mod operations;
pub(crate) mod past;
pub(crate) mod positions;
mod row_counts;
pub(crate) mod rule_activity;
pub(crate) mod sql;
pub(crate) mod tokens;
pub(crate) mod transfers;
mod values;
pub(crate) mod wallets;
