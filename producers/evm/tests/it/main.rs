//! The producer against the scripted node, anvil and a real nats-server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod anvil;
mod balances;
mod contracts;
mod endpoints;
mod explorers;
mod failover;
mod follow;
mod foreign;
mod harness;
mod hedging;
mod history;
mod look_alikes;
mod pasts;
mod process;
mod recorded;
mod reorgs;
mod resume;
mod scope;
mod stream;
mod tokens;
mod traces;
mod transactions;
mod watch;
mod watch_million;
mod wire;
