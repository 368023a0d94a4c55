//! What only TimescaleDB's community edition has: `make test-timescale-community` runs it on the server of `DATABASE_URL`.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

#[path = "../it/chain.rs"]
mod chain;
#[path = "../it/harness.rs"]
mod harness;

mod compressed;

/// A fresh database on the server that these tests are about.
async fn server() -> anyhow::Result<crypto_intel_sandbox::TestDatabase> {
    Ok(crypto_intel_testkit::community_or_end().await)
}
