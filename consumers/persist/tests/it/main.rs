//! Real nats-server and real PostgreSQL; events are published as the producers publish them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod compliance;
mod database_faults;
mod faults;
mod lanes;
mod poison;
mod process;
mod rebuilds;
mod reorgs;
mod replays;
mod rig;
mod storing;
