use crypto_intel_nats::{Bucket, BucketSpec, PortSpec, RoleSpec, SecretSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "api",
    summary: "what is stored and what happens, over HTTP",
    section: "api",
    enable: "set database.url, and api.enabled to true",
    secrets: &[SecretSpec { key: "database.url", file: "api_database_url" }],
    // Dead letters of notify that are handed back.
    publishes: &["audit.>", "notify.out.>"],
    // Newest messages, and how far the tables are behind.
    reads: &[
        Stream::Evm,
        Stream::Market,
        Stream::Signals,
        Stream::Status,
        Stream::Alert,
        Stream::Notify,
        Stream::Dlq,
    ],
    looks_up: &[Stream::History, Stream::Audit],
    // Those that are handed back or given up.
    deletes: &[Stream::Dlq],
    buckets: &[
        BucketSpec::write(Bucket::ApiKeys, &[">"]).watched(),
        BucketSpec::read(Bucket::Leases).watched(),
        BucketSpec::read(Bucket::Prices).watched(),
        BucketSpec::read(Bucket::Tokens).watched(),
        BucketSpec::read(Bucket::Facts).watched(),
        // How far pollers are, what is used of quotas, up to which block audits found everything.
        BucketSpec::read(Bucket::Cursors).watched(),
        // The rules in force.
        BucketSpec::read(Bucket::RuleState),
        // Which routes of an alert were told.
        BucketSpec::read(Bucket::Deliveries),
        BucketSpec::write(Bucket::Gaps, &[">"]).watched(),
        BucketSpec::write(Bucket::Watchlist, &[">"]).watched(),
        BucketSpec::write(Bucket::Silences, &[">"]).watched(),
        BucketSpec::write(Bucket::Subscriptions, &[">"]).watched(),
        BucketSpec::write(Bucket::Idempotency, &[">"]),
        BucketSpec::write(Bucket::Sessions, &[">"]).watched(),
        BucketSpec::write(Bucket::Routing, &["ack.>"]),
        BucketSpec::write(Bucket::Providers, &["pause.>", "try.>"]).watched(),
    ],
    database_user: Some("api"),
    port: Some(PortSpec { key: "api.listen", port: 8420 }),
    ..RoleSpec::NONE
};
