//! Against a real PostgreSQL, on the server of `DATABASE_URL` when that is set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod backup;
mod busy_addresses;
mod connecting;
mod copy_bytes;
mod encryption;
mod errors;
mod list_plans;
mod migrations;
mod pairs;
mod past;
mod policies;
mod portfolio;
mod roles;
mod rollups;
mod schemas;
mod state;
mod summaries;
mod support;
mod transactions;
mod transfer_pages;
mod wallet_transactions;
mod wallets;

/// The programs of that server.
fn postgres_tools() -> crypto_intel_sandbox::tools::PostgresTools {
    crypto_intel_sandbox::tools::postgres().unwrap()
}

/// A fresh database on the server that these tests are about.
async fn server() -> crypto_intel_sandbox::TestDatabase {
    crypto_intel_sandbox::Postgres::test_database().await.unwrap()
}
