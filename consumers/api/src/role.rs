use crypto_intel_nats::{Bucket, BucketSpec, PortSpec, RoleSpec, SecretSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "api",
    summary: "what is stored and what happens, over HTTP",
    section: "api",
    enable: "set database.url, and api.enabled to true",
    secrets: &[SecretSpec { key: "database.url", file: "api_database_url" }],
    // Newest messages, and how far the tables are behind.
    reads: &[
        Stream::Evm,
        Stream::Market,
        Stream::Signals,
        Stream::Status,
        Stream::Alert,
        Stream::Notify,
    ],
    looks_up: &[Stream::History, Stream::Dlq],
    buckets: &[
        BucketSpec::read(Bucket::ApiKeys).watched(),
        BucketSpec::read(Bucket::Leases).watched(),
    ],
    database_user: Some("api"),
    port: Some(PortSpec { key: "api.listen", port: 8420 }),
    ..RoleSpec::NONE
};
