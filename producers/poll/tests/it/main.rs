//! The pollers against real HTTP, recorded answers and a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod catalogue;
mod demo;
mod facts;
mod faults;
mod forms;
mod harness;
mod kinds;
mod past;
mod pauses;
mod pipeline;
mod prices;
mod quotas;
mod recorded;
mod recorded_values;
mod reload;
mod stand_in;
mod takeover;
