//! Tests over real sockets, on a real nats-server and PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod alert_summary;
mod attack;
mod audit;
mod changes;
mod dead_letters;
mod description;
mod exports;
mod gaps;
mod graph;
mod harness;
mod jwt;
mod keys;
mod lists;
mod once;
mod owasp;
mod pools;
mod providers;
mod requests;
mod rules;
mod seed;
mod sessions;
mod subscriptions;
mod tokens;

/// A fresh database on the server that these tests are about.
async fn server() -> anyhow::Result<crypto_intel_sandbox::TestDatabase> {
    crypto_intel_sandbox::Postgres::test_database().await
}
