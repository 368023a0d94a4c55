use crypto_intel_nats::{Bucket, BucketSpec, RoleSpec, SecretSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "persist",
    summary: "events to tables",
    section: "persist",
    enable: "set database.url",
    secrets: &[SecretSpec { key: "database.url", file: "persist_database_url" }],
    publishes: &["dlq.persist.>"],
    reads: &[
        Stream::Evm,
        Stream::History,
        Stream::Market,
        Stream::Signals,
        Stream::Status,
        Stream::Alert,
        Stream::Notify,
        Stream::Audit,
    ],
    looks_up: &[Stream::Dlq],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["persist.>"]),
        BucketSpec::write(Bucket::Cursors, &["persist.>"]),
        BucketSpec::read(Bucket::Labels).watched(),
        BucketSpec::read(Bucket::Watchlist).watched(),
    ],
    database_user: Some("persist"),
    ..RoleSpec::NONE
};
