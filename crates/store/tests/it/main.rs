//! Against a real PostgreSQL, on the server of `DATABASE_URL` when that is set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod connecting;
mod migrations;
mod state;
mod support;
mod transactions;
mod wallets;
