//! Pairs of addresses are added up from a bounded number of rows, and say when there are more.

use crypto_intel_schemas::Address;
use crypto_intel_store::{PairFilter, PairLine};

use crate::support::database;

const FILL: &str = "\
    INSERT INTO token_transfers (block_time, block_number, block_tag, log_index, sub_index, tx_index, erc, decimals, \
    token_verified, chain, tx_hash, token, sender, recipient, value, symbol, usd) \
    SELECT '2026-01-01'::timestamptz + make_interval(mins => n), n, 1, 0, 0, 0, 20, 6, n % 5 <> 0, 'base', '\\x01', \
    decode(repeat('99', 20), 'hex'), decode(repeat('01', 20), 'hex'), decode(repeat('02', 20), 'hex'), 5, 'X', 1.5 \
    FROM generate_series(1, 10) AS n; \
    INSERT INTO native_transfers (block_time, block_number, block_tag, tx_index, succeeded, chain, tx_hash, sender, \
    recipient, value, usd) VALUES \
    ('2026-01-01', 1, 1, 0, NULL, 'ethereum', '\\x02', decode(repeat('02', 20), 'hex'), decode(repeat('01', 20), 'hex'), 5, NULL), \
    ('2026-01-01', 1, 1, 1, false, 'ethereum', '\\x03', decode(repeat('02', 20), 'hex'), decode(repeat('01', 20), 'hex'), 5, 1), \
    ('2026-01-01', 1, 1, 2, true, 'ethereum', '\\x04', decode(repeat('01', 20), 'hex'), decode(repeat('03', 20), 'hex'), 0, 1), \
    ('2026-01-01', 1, 1, 4, true, 'ethereum', '\\x06', decode(repeat('01', 20), 'hex'), decode(repeat('01', 20), 'hex'), 5, 1)";

fn filter() -> PairFilter {
    PairFilter {
        chains: None,
        verified: true,
        since_us: 0,
        until_us: 1_800_000_000_000_000,
        rows: 100,
    }
}

fn sums(lines: &[PairLine]) -> Vec<(u8, u8, u64, &str)> {
    let mut sums: Vec<_> = lines
        .iter()
        .map(|line| (line.from[0], line.to[0], line.transfers, line.usd.as_str()))
        .collect();
    sums.sort_unstable();
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_are_what_moved_between_two_addresses() {
    let (_database, store, client) = database().await;
    client.batch_execute(FILL).await.unwrap();
    let one = [Address::repeat_byte(1)];
    let pairs = store.pairs_of(&one, &filter()).await.unwrap();
    // Nothing, to oneself and failed is no pair; two of ten were not of a known token.
    assert_eq!(sums(&pairs.lines), [(1, 2, 8, "12.0"), (2, 1, 1, "0")]);
    assert!(pairs.cut.is_empty());
    let line = pairs.lines.iter().find(|line| line.transfers == 8).unwrap();
    assert_eq!((line.assets, line.priced, line.top_assets[0].symbol.as_deref()), (1, 8, Some("X")));
    assert_eq!(line.between_us.1 - line.between_us.0, 8 * 60_000_000);

    let all = PairFilter { verified: false, ..filter() };
    assert_eq!(sums(&store.pairs_of(&one, &all).await.unwrap().lines)[0], (1, 2, 10, "15.0"));
    let other = PairFilter { chains: Some(vec!["ethereum".into()]), ..filter() };
    assert_eq!(sums(&store.pairs_of(&one, &other).await.unwrap().lines), [(2, 1, 1, "0")]);

    let few = PairFilter { rows: 3, ..filter() };
    let both = [Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3)];
    let pairs = store.pairs_of(&both, &few).await.unwrap();
    let mut cut = pairs.cut.clone();
    cut.sort_unstable();
    assert_eq!(cut, both[..2], "those with more than three rows of a table and side");
    // The newest three, of which one is of an unknown token.
    assert_eq!(sums(&pairs.lines)[0], (1, 2, 2, "3.0"));
    assert!(store.pairs_of(&[], &few).await.unwrap().lines.is_empty());
}
