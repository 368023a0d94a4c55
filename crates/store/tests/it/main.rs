//! Against a real PostgreSQL, on the server of `DATABASE_URL` when that is set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod connecting;
mod encryption;
mod errors;
mod migrations;
mod schemas;
mod support;
mod transactions;
