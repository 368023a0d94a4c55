//! The events of a block itself: its marker, and what it says of a reorganisation, a jump and finality.

use std::ops::RangeInclusive;

use crypto_intel_schemas::{B256, Block, BlockRef, Finalized, Jump, Kind, Reorg, chain_event_id};

/// How far a chain is safe and final, as its next marker says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MarkerFinality {
    pub(crate) finalized: u64,
    pub(crate) finalized_hash: Option<B256>,
    pub(crate) safe: Option<u64>,
}

/// An event of a marker's block, with the fields that it shares with the marker.
macro_rules! of_block {
    ($marker:expr, $kind:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $kind {
            id: chain_event_id(&$marker.chain, &$marker.block_hash, Kind::$kind),
            event_at_us: $marker.event_at_us,
            observed_at_us: $marker.observed_at_us,
            chain: $marker.chain.clone(),
            chain_id: $marker.chain_id,
            block_number: $marker.block_number,
            block_hash: $marker.block_hash,
            block_time_us: $marker.block_time_us,
            removed: false,
            incarnation: $marker.incarnation,
            $($field: $value,)*
            ..$kind::empty()
        }
    };
}

/// A block's marker with what the family does not know.
pub(crate) fn marker(
    marker: &Block,
    finality: MarkerFinality,
    announced: Vec<u64>,
    (rows, messages): (usize, usize),
) -> Block {
    Block {
        announced,
        safe_number: finality.safe,
        finalized_number: finality.finalized,
        rows: clamp(rows),
        messages: clamp(messages),
        ..marker.clone()
    }
}

/// The event that says that blocks left the chain.
pub(crate) fn reorg(marker: &Block, dropped: Vec<BlockRef>, ancestor: BlockRef) -> Reorg {
    of_block!(marker, Reorg { depth: clamp(dropped.len()), ancestor: ancestor, dropped: dropped })
}

/// The event that says that a range was left to the history lane.
pub(crate) fn jump(marker: &Block, left: RangeInclusive<u64>) -> Jump {
    of_block!(marker, Jump { from_number: *left.start(), to_number: *left.end() })
}

/// The event that says that the finalized block moved.
pub(crate) fn finalized(marker: &Block, finality: MarkerFinality) -> Finalized {
    of_block!(
        marker,
        Finalized {
            finalized_number: finality.finalized,
            finalized_hash: finality.finalized_hash,
            safe_number: finality.safe,
        }
    )
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
