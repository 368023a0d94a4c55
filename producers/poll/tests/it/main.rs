//! The pollers against real HTTP, recorded answers and a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broker;
mod catalogue;
mod demo;
mod faults;
mod pipeline;
mod recorded;
mod stand_in;
mod takeover;
