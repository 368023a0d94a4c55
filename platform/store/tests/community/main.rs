//! What only TimescaleDB's community edition has: `make test-timescale-community` runs it on the server of `DATABASE_URL`.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

#[path = "../it/support.rs"]
mod support;

mod column_store;
mod policies;
mod rollups;

/// A fresh database on the server that these tests are about.
async fn server() -> crypto_intel_sandbox::TestDatabase {
    crypto_intel_testkit::community_or_end().await
}
