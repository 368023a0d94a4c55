//! Each server starts, restarts with its data, and is gone when dropped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod anvil;
mod builder;
mod chat;
mod lifetime;
mod nats_server;
mod node;
mod postgres;
mod provider;
