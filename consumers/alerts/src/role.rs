use crypto_intel_nats::{Bucket, BucketSpec, RoleSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "alerts",
    summary: "events to alerts, by rules",
    section: "alerts",
    enable: "name rule files in alerts.rules",
    // Ticks go into every stream that rules read.
    publishes: &["alert.>", "tick.>", "dlq.alerts.>"],
    reads: &Stream::OF_RULES,
    looks_up: &[Stream::Dlq],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["alerts"]),
        // Records of the state and rule sets are listed.
        BucketSpec::write(Bucket::RuleState, &[">"]).watched(),
    ],
    ..RoleSpec::NONE
};
