//! The whole role against a real nats-server with the shipped permissions, and a chat stand-in that
//! refuses what the services refuse.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod burst;
mod buttons;
mod calm;
mod calm_history;
mod calm_hours;
mod calm_model;
mod channels;
mod charts;
mod closing;
mod crashes;
mod delivering;
mod fallbacks;
mod follow_ups;
mod harness;
mod lanes;
mod mail;
mod refusals;
mod replica;
mod rounds;
mod scripted;
mod transport;
