//! What people do about providers while they are polled: pauses, and tries by the instance that polls, which has the keys.

pub(crate) mod attempt;
pub(crate) mod board;
pub(crate) mod pause;
