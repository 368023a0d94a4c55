use std::path::PathBuf;

use crypto_intel_service::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach PostgreSQL.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Address with user, password and database: `postgres://user:password@host:5432/crypto_intel`. Empty: no
    /// database, and persist does not run. Several hosts separated by commas with `target_session_attrs=read-write`
    /// follow a failover. With `sslmode=require` the connection is encrypted and the server's certificate and name are
    /// verified, as with `verify-full`, which means the same here; without it the connection is not encrypted. In user
    /// and password `@` is written as `%40`.
    pub url: Secret,
    /// PEM file of the certificate authority that signed the server's certificate. Default: the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// Maximum number of connections: one per stream that is persisted, three for wallets, labels and old rows, and one or
    /// two for queries.
    pub pool_size: usize,
    /// How long to try to connect at start before giving up, in seconds. Later losses are retried without limit.
    pub start_timeout_seconds: u64,
    /// How long one attempt to connect may take, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long one statement may take before the server cancels it, in milliseconds.
    pub statement_timeout_ms: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            tls_ca_file: None,
            url: Secret::default(),
            pool_size: 10,
            start_timeout_seconds: 30,
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 60_000,
        }
    }
}
