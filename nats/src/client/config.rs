use std::path::PathBuf;

use crypto_intel_service::{Address, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach NATS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// Server address, `nats://host:port` or `tls://host:port`; the servers of a cluster are separated by commas.
    /// `user:password@` or `token@` before the host is understood (special characters percent-encoded, `#` is
    /// `%23`) and never shown.
    pub url: Address,
    /// User name; empty for a server without authentication. Also names the inbox prefix, `_INBOX_<user>`,
    /// which is what the permissions in `nats/server.conf` allow.
    pub user: String,
    /// Password of `user`.
    pub password: Secret,
    /// A `.creds` file (JWT and nkey), instead of user and password.
    pub credentials_file: Option<PathBuf>,
    /// PEM file with the certificate authority that signed the server's certificate, if it is not a public one.
    pub tls_ca_file: Option<PathBuf>,
    /// How long to try to connect at start before giving up, in seconds. Later losses are retried without limit.
    pub start_timeout_seconds: u64,
    /// How long to wait for one answer (an acknowledgement, a point read), in milliseconds.
    pub request_timeout_ms: u64,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: Address::from("nats://127.0.0.1:4222"),
            user: String::new(),
            password: Secret::default(),
            credentials_file: None,
            tls_ca_file: None,
            start_timeout_seconds: 30,
            request_timeout_ms: 10_000,
        }
    }
}
