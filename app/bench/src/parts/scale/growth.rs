//! What two lists of moments say: when blocks were pushed by the nodes, and when they were seen in the tables.

use std::collections::HashMap;

use crate::worker::BlockAt;

/// The newest block of each chain; 0 where there is none.
pub(super) fn newest(blocks: &[BlockAt], chains: usize) -> Vec<u64> {
    let mut newest = vec![0; chains];
    for block in blocks {
        newest[block.chain] = block.number.max(newest[block.chain]);
    }
    newest
}

/// When a block was stored that was at most one below the newest of its chain, and which that is.
pub(super) fn caught_up(pushed: &[BlockAt], stored: &[BlockAt]) -> Option<BlockAt> {
    let head_of = |row: &BlockAt| {
        let before =
            pushed.iter().filter(|block| block.chain == row.chain && block.at_us <= row.at_us);
        before.map(|block| block.number).max()
    };
    let is_near = |row: &&BlockAt| head_of(row).is_some_and(|head| row.number + 1 >= head);
    stored.iter().find(is_near).copied()
}

/// Milliseconds from each pushed block to its row. What was not stored is taken as stored at `end_us`: at least so long it took.
pub(super) fn latencies(pushed: &[BlockAt], stored: &[BlockAt], end_us: i64) -> Vec<f64> {
    let rows: HashMap<(usize, u64), i64> =
        stored.iter().map(|block| ((block.chain, block.number), block.at_us)).collect();
    let waited = |block: &BlockAt| {
        let row_us = rows.get(&(block.chain, block.number)).copied().unwrap_or(end_us);
        (row_us - block.at_us) as f64 / 1_000.0
    };
    pushed.iter().map(waited).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(chain: usize, number: u64, at_us: i64) -> BlockAt {
        BlockAt { chain, number, at_us }
    }

    #[test]
    fn persist_has_caught_up_when_it_stores_what_is_new() {
        let pushed = [block(0, 101, 10), block(0, 102, 20), block(0, 103, 30), block(0, 104, 40)];
        let stored = [block(0, 5, 15), block(0, 80, 25), block(0, 102, 35), block(0, 103, 41)];
        assert_eq!(caught_up(&pushed, &stored), Some(block(0, 102, 35)));
        assert_eq!(caught_up(&pushed, &stored[..2]), None);
        assert_eq!(caught_up(&[], &stored), None);
    }

    #[test]
    fn a_block_without_a_row_waits_until_the_end() {
        let pushed = [block(0, 1, 1_000), block(1, 1, 2_000), block(1, 2, 3_000)];
        let stored = [block(1, 1, 5_000), block(0, 1, 2_000)];
        assert_eq!(latencies(&pushed, &stored, 9_000), [1.0, 3.0, 6.0]);
        assert_eq!(newest(&pushed, 2), [1, 2]);
    }
}
