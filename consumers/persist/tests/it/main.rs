//! Real nats-server and real PostgreSQL; events are published as the producers publish them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod compliance;
mod faults;
mod lanes;
mod poison;
mod reorgs;
mod rig;
mod storing;
mod wallets;
