//! What a line of the table is made of.

use super::{BLOCKS_PER_SECOND, FIRST_NUMBER};
use crate::{fixtures, options::Options, worker::NodeTask};

/// Blocks of each chain before the first measured one; the depth of finality is less.
const WARM_UP_BLOCKS: u64 = 10;
/// Events in a block, roughly: how many blocks a backlog is.
const BLOCK_EVENTS: u64 = 300;

/// What a line is made of.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) chains: usize,
    pub(super) first_number: u64,
    /// What each chain's node begins with, and its further blocks.
    pub(super) node: NodeTask,
    /// How fast each chain grows.
    pub(super) blocks_per_second: f64,
    /// Whether persist starts after the stream was filled, and is behind.
    pub(super) is_behind: bool,
    /// How long the chains grow after everything is caught up.
    pub(super) seconds: u64,
}

impl Shape {
    /// Chains that grow in front of roles that keep up, if the machine can.
    pub(super) fn of_chains(options: &Options, chains: usize, transfers: usize) -> Self {
        Self {
            chains,
            first_number: 1,
            node: NodeTask { transfers, ..fixtures::generated(WARM_UP_BLOCKS) },
            blocks_per_second: BLOCKS_PER_SECOND,
            is_behind: false,
            seconds: options.scale_seconds,
        }
    }

    /// One chain that makes as many blocks as all of these together.
    pub(super) fn into_one(self) -> Self {
        let blocks_per_second = self.blocks_per_second * self.chains as f64;
        Self { chains: 1, blocks_per_second, ..self }
    }

    /// One chain of real bodies, and a persist that begins when the stream holds about so many of its events.
    pub(super) fn behind(options: &Options, events: u64) -> Self {
        Self {
            chains: 1,
            first_number: FIRST_NUMBER,
            node: fixtures::real(options, (events / BLOCK_EVENTS).max(WARM_UP_BLOCKS)),
            blocks_per_second: BLOCKS_PER_SECOND,
            is_behind: true,
            seconds: options.scale_seconds,
        }
    }
}
