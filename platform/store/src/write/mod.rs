//! What persist writes: batches of rows behind a position, the watch-list, labels, and the privileges that it needs.

pub(crate) mod block_lookup;
mod copy;
pub(crate) mod labels;
mod positions;
mod privileges;
mod terminate_idle_blockers;
pub(crate) mod transaction;
mod wallets;
