//! Live events over real sockets, from a real nats-server. No database is needed: nothing live is read from one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod chain;
mod client;
mod clients;
mod events;
mod hostile;
mod load;
mod resume;
mod server;
mod stream;
