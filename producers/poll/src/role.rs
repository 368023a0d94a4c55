use crypto_intel_nats::{Bucket, BucketSpec, RoleSpec};
use crypto_intel_schemas::Stream;

/// What this role needs.
pub const ROLE: RoleSpec = RoleSpec {
    name: "poll",
    summary: "answers of APIs to events, and the buckets of prices and facts",
    section: "poll",
    enable: "enable a provider under [poll.providers.NAME]",
    own_secrets: "keys of providers",
    publishes: &[
        "market.>",
        "gas.>",
        "defi.>",
        "network.>",
        "sentiment.>",
        "news.>",
        "whale.>",
        "status.provider.>",
        // The past, many events to a message.
        "history.market.chunk",
        "history.gas.chunk",
        "history.defi.chunk",
        "history.network.chunk",
        "history.sentiment.chunk",
    ],
    // After an unknown outcome: whether the answer is in the stream.
    looks_up: &[Stream::Market, Stream::Signals, Stream::Status],
    buckets: &[
        BucketSpec::write(Bucket::Leases, &["poll.>"]),
        BucketSpec::write(Bucket::Cursors, &["poll.>"]),
        BucketSpec::write(Bucket::Prices, &[">"]),
        BucketSpec::write(Bucket::Facts, &[">"]),
        BucketSpec::write(Bucket::Providers, &["tried.>"]).watched(),
    ],
    ..RoleSpec::NONE
};

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use crypto_intel_schemas::{Kind, subjects};

    use super::*;

    #[test]
    fn the_state_of_providers_may_be_published() {
        let [(_, filter)] = Kind::ProviderStatus.streams() else { panic!("one stream") };
        assert!(ROLE.publishes.contains(filter), "add {filter}");
    }

    #[test]
    fn the_past_of_every_family_may_be_published() {
        for family in subjects::POLLED_FAMILIES {
            let chunk = subjects::history_chunk(family);
            assert!(ROLE.publishes.contains(&chunk.as_str()), "add {chunk}");
        }
    }

    #[test]
    fn every_polled_kind_may_be_published_and_looked_up() {
        for kind in Kind::ALL.iter().filter(|kind| kind.is_polled()) {
            for (stream, filter) in kind.streams() {
                assert!(ROLE.publishes.contains(filter), "{kind}: add {filter}");
                assert!(ROLE.looks_up.contains(stream), "{kind}: add {stream}");
            }
        }
    }
}
