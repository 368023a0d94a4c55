//! Tests on a real nats-server and PostgreSQL; events are published as the producers publish them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod chain;
mod chunks;
mod compliance;
mod database_faults;
mod earlier_rows;
mod faults;
mod harness;
mod labels;
mod lanes;
mod poison;
mod polled_kinds;
mod process;
mod rebuilds;
mod reorgs;
mod replays;
mod retention;
mod roles;
mod storing;
mod wallets;

/// A fresh database on the server that these tests are about.
async fn server() -> anyhow::Result<crypto_intel_sandbox::TestDatabase> {
    crypto_intel_sandbox::Postgres::test_database().await
}
