//! The role on a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conditions;
mod harness;
mod nested;
mod once;
mod polled;
mod reference;
mod reload;
mod trouble;
