use crypto_intel_nats::{Bucket, BucketSpec, RoleSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "evm",
    summary: "blocks and logs of EVM chains to events",
    section: "evm",
    enable: "configure a chain under [evm.chains.NAME]",
    own_secrets: "keys of endpoints and explorers",
    publishes: &["evm.>", "watch.>", "balance.>", "history.>", "status.node.>", "dlq.evm.>"],
    // Its own markers and bodies, to resume from, and what touched watched wallets.
    reads: &[Stream::Evm],
    looks_up: &[Stream::Dlq],
    asks_leader: &[Stream::Evm],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["evm.>"]),
        // The history lane pauses while persist's position is too far behind.
        BucketSpec::write(
            Bucket::Cursors,
            &["evm.>", "balances.>", "factory_early.>", "factory_search.>", "scope.>"],
        )
        .watched(),
        BucketSpec::write(Bucket::Contracts, &[">"]).watched(),
        BucketSpec::write(Bucket::Gaps, &[">"]).watched(),
        BucketSpec::write(Bucket::Pasts, &[">"]),
        BucketSpec::write(Bucket::Tokens, &[">"]),
        BucketSpec::write(Bucket::Holdings, &[">"]).watched(),
        BucketSpec::read(Bucket::Prices).watched(),
        BucketSpec::read(Bucket::Labels).watched(),
        BucketSpec::read(Bucket::Watchlist).watched(),
    ],
    ..RoleSpec::NONE
};
