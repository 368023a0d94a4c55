//! The same tests on TimescaleDB: its Apache edition (`make timescale`), or the server of `DATABASE_URL`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../it/audit.rs"]
mod audit;
#[path = "../it/backup.rs"]
mod backup;
#[path = "../it/busy_addresses.rs"]
mod busy_addresses;
#[path = "../it/list_plans.rs"]
mod list_plans;
#[path = "../it/migrations.rs"]
mod migrations;
#[path = "../it/past.rs"]
mod past;
#[path = "../it/policies.rs"]
mod policies;
#[path = "../it/roles.rs"]
mod roles;
#[path = "../it/rollups.rs"]
mod rollups;
#[path = "../it/schemas.rs"]
mod schemas;
#[path = "../it/state.rs"]
mod state;
#[path = "../it/summaries.rs"]
mod summaries;
#[path = "../it/support.rs"]
mod support;
#[path = "../it/transactions.rs"]
mod transactions;
#[path = "../it/wallet_transactions.rs"]
mod wallet_transactions;
#[path = "../it/wallets.rs"]
mod wallets;

/// The programs of that server.
fn postgres_tools() -> crypto_intel_sandbox::tools::PostgresTools {
    crypto_intel_sandbox::tools::timescale().unwrap()
}

/// A fresh database on the server that these tests are about.
async fn server() -> crypto_intel_sandbox::TestDatabase {
    crypto_intel_testkit::timescale_or_end().await
}
