//! Each server starts, restarts with its data, and is gone when dropped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod anvil;
mod nats_server;
mod postgres;
