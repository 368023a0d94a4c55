//! One endpoint, slot by slot, under the quota of its provider.

pub(crate) mod board;
pub(crate) mod compliance;
mod event;
pub(crate) mod failure;
#[cfg(test)]
pub(crate) mod full_day;
pub(crate) mod pacer;
pub(crate) mod poller;
pub(crate) mod progress;
mod refusals;
mod reports;
pub(crate) mod schedule;
#[cfg(test)]
mod simulation;
pub(crate) mod status;
pub(crate) mod throttle;
pub(crate) mod verdict;
mod view;
