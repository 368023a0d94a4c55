//! Position of a builder on the branch that it builds.

use alloy_primitives::B256;

#[derive(Debug, Clone)]
pub(super) struct Position {
    first_parent: B256,
    first_number: u64,
    first_timestamp: u64,
    seconds_per_block: u64,
    /// Hash and timestamp of each block of the current branch.
    built: Vec<(B256, u64)>,
    /// How many forks there were; makes the blocks of each branch differ.
    pub(super) branch: u64,
    /// The branch that transactions are taken from; behind `branch` where a fork kept them.
    pub(super) transaction_branch: u64,
}

/// Number, parent and time of the next block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) parent_hash: B256,
    pub(super) timestamp: u64,
}

impl Position {
    pub(super) fn new(
        first_number: u64,
        first_parent: B256,
        first_timestamp: u64,
        seconds_per_block: u64,
    ) -> Self {
        Self {
            first_parent,
            first_number,
            first_timestamp,
            seconds_per_block,
            built: Vec::new(),
            branch: 0,
            transaction_branch: 0,
        }
    }

    /// The next block, at its own time or at the given one if that is later.
    pub(super) fn next(&self, at: Option<u64>) -> Place {
        let (parent_hash, due) = match self.built.last() {
            Some((hash, timestamp)) => (*hash, timestamp + self.seconds_per_block),
            None => (self.first_parent, self.first_timestamp),
        };
        let earliest = self.built.last().map_or(0, |(_, timestamp)| *timestamp);
        Place {
            number: self.first_number + self.built.len() as u64,
            parent_hash,
            timestamp: at.map_or(due, |at| at.max(earliest)),
        }
    }

    pub(super) fn push(&mut self, hash: B256, timestamp: u64) {
        self.built.push((hash, timestamp));
    }

    /// Goes back `depth` blocks (or as many as there are) and begins another branch.
    pub(super) fn fork(&mut self, depth: usize, keep_transactions: bool) {
        self.built.truncate(self.built.len().saturating_sub(depth));
        self.branch += 1;
        if !keep_transactions {
            self.transaction_branch = self.branch;
        }
    }
}
