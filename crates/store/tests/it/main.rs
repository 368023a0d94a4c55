//! Against a real PostgreSQL, on the server of `DATABASE_URL` when that is set.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod audit;
mod backup;
mod connecting;
mod errors;
mod migrations;
mod support;
mod transactions;
