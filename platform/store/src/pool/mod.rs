//! Connections to one database: its address, TLS, the pool, and what the server offers.

pub(crate) mod address;
pub(crate) mod advisory_locks;
pub(crate) mod config;
pub(crate) mod edition;
pub(crate) mod extension;
pub(crate) mod schema_name;
pub(crate) mod store;
mod tls;
