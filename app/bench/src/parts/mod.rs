//! What can be measured; `--only` names one of them.

pub(crate) mod burst;
pub(crate) mod consume;
pub(crate) mod history;
pub(crate) mod history_to_rows;
pub(crate) mod latency;
pub(crate) mod lists;
pub(crate) mod live;
pub(crate) mod persist;
pub(crate) mod publish;
pub(crate) mod queries;
pub(crate) mod rest;
pub(crate) mod scale;
pub(crate) mod watched;
