//! The same tests on TimescaleDB: its Apache edition (`make timescale`), or the server of `DATABASE_URL`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../it/chain.rs"]
mod chain;
#[path = "../it/chunks.rs"]
mod chunks;
#[path = "../it/compliance.rs"]
mod compliance;
#[path = "../it/earlier_rows.rs"]
mod earlier_rows;
#[path = "../it/faults.rs"]
mod faults;
#[path = "../it/harness.rs"]
mod harness;
#[path = "../it/lanes.rs"]
mod lanes;
#[path = "../it/poison.rs"]
mod poison;
#[path = "../it/rebuilds.rs"]
mod rebuilds;
#[path = "../it/reorgs.rs"]
mod reorgs;
#[path = "../it/replays.rs"]
mod replays;
#[path = "../it/retention.rs"]
mod retention;
#[path = "../it/roles.rs"]
mod roles;
#[path = "../it/storing.rs"]
mod storing;
#[path = "../it/wallets.rs"]
mod wallets;

/// A fresh database on the server that these tests are about.
async fn server() -> anyhow::Result<crypto_intel_sandbox::TestDatabase> {
    Ok(crypto_intel_testkit::timescale_or_end().await)
}
