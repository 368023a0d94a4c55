use crypto_intel_nats::{Bucket, BucketSpec, RoleSpec};

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "poll",
    summary: "answers of APIs to events, and the bucket of prices",
    section: "poll",
    enable: "enable a provider under [poll.providers.NAME]",
    own_secrets: "keys of providers",
    publishes: &["market.>", "sentiment.>"],
    // After an unknown outcome: whether the answer is in the stream.
    looks_up: &["MARKET", "SIGNALS"],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["poll.>"]),
        BucketSpec::write(Bucket::Cursors, &["poll.>"]),
        BucketSpec::write(Bucket::Prices, &[">"]),
    ],
    ..RoleSpec::NONE
};
