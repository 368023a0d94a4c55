use crypto_intel_nats::{Bucket, BucketSpec, QueueSpec, RoleSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "notify",
    summary: "alerts to chats",
    section: "notify",
    enable: "configure a destination under [notify.destinations.NAME]",
    own_secrets: "tokens and webhooks of chats",
    // Its own alerts: what stopped.
    publishes: &["notify.out.>", "notify.done.>", "alert.*.watchdog.>", "dlq.notify.>", "audit.>"],
    // What silences and inhibitions kept back.
    reads: &[Stream::Notify],
    // Members of a digest, alerts that wait, and whether the clocks of the rules go.
    looks_up: &[
        Stream::Outbox,
        Stream::Dlq,
        Stream::Alert,
        Stream::Status,
        Stream::Evm,
        Stream::Market,
        Stream::Signals,
    ],
    // What a replica does not have yet is not gone.
    asks_leader: &[Stream::Alert, Stream::Outbox],
    queues: &[
        QueueSpec { stream: Stream::Alert, consumer: "notify" },
        // One for each destination.
        QueueSpec { stream: Stream::Outbox, consumer: "*" },
    ],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["notify.>"]),
        BucketSpec::write(Bucket::Deliveries, &[">"]),
        BucketSpec::write(Bucket::Silences, &[">"]).watched(),
        BucketSpec::read(Bucket::Subscriptions).watched(),
        BucketSpec::write(Bucket::Routing, &[">"]).watched(),
    ],
    // Without a destination it would end at once.
    profile: Some("chat"),
    ..RoleSpec::NONE
};
