//! Who is told of an alert, and when: see ADR 24.

pub(crate) mod dead_man;
pub(crate) mod dispatch;
mod effects;
pub(crate) mod explain;
pub(crate) mod file;
mod held;
mod hours;
pub(crate) mod judge;
mod look_back;
pub(crate) mod matcher;
pub(crate) mod open;
mod over;
pub(crate) mod reload;
pub(crate) mod round;
mod sight;
pub(crate) mod sights;
pub(crate) mod silences;
pub(crate) mod subscriptions;
mod summary;
pub(crate) mod text;
mod timers;
mod tree;
pub(crate) mod watchdog;
pub(crate) mod weekly;
