use crypto_intel_nats::{Bucket, BucketSpec, QueueSpec, RoleSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "notify",
    summary: "alerts to chats",
    section: "notify",
    enable: "configure a destination under [notify.destinations.NAME]",
    own_secrets: "tokens and webhooks of chats",
    publishes: &["notify.out.>", "notify.done.>", "dlq.notify.>"],
    // Members of a digest.
    looks_up: &[Stream::Outbox, Stream::Dlq],
    queues: &[
        QueueSpec { stream: Stream::Alert, consumer: "notify" },
        // One for each destination.
        QueueSpec { stream: Stream::Outbox, consumer: "*" },
    ],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["notify.>"]),
        BucketSpec::write(Bucket::Deliveries, &[">"]),
    ],
    // Without a destination it would end at once.
    profile: Some("chat"),
    ..RoleSpec::NONE
};
