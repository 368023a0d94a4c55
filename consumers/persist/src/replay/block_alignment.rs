//! Widens a range to whole blocks: half a block would be stored without its marker, or with too few rows.

use crypto_intel_nats::{Nats, NatsError, StreamRange};
use crypto_intel_schemas::Event;

use super::filters::markers_of;

/// How often a bound may move: each time because the last move cut another block.
const MAX_MOVES: usize = 16;

/// Sequences of a block's messages.
#[derive(Debug, Clone, Copy)]
struct Extent {
    first: u64,
    marker: u64,
}

/// Extends the range to the first message of the block in which it begins and to the marker of the block in which it ends, as
/// far as the stream still holds them.
pub(super) async fn widen(
    nats: &Nats,
    stream: &str,
    filters: &[String],
    range: StreamRange,
) -> Result<StreamRange, NatsError> {
    let mut chains = Vec::new();
    for markers in filters.iter().filter_map(|filter| markers_of(filter)) {
        chains.extend(nats.subjects_of(stream, &markers).await?);
    }
    chains.sort();
    chains.dedup();
    let oldest = nats.stream_state(stream).await?.first_sequence;
    let mut wide = range;
    for _ in 0..MAX_MOVES {
        let mut from = wide.from;
        for block in blocks_at(nats, stream, &chains, wide.from).await? {
            from = from.min(block.first);
        }
        let from = from.max(oldest).min(wide.from);
        if from == wide.from {
            break;
        }
        wide.from = from;
    }
    for _ in 0..MAX_MOVES {
        let mut to = wide.to;
        for block in blocks_at(nats, stream, &chains, wide.to.saturating_add(1)).await? {
            if block.first <= wide.to {
                to = to.max(block.marker);
            }
        }
        if to == wide.to {
            break;
        }
        wide.to = to;
    }
    Ok(wide)
}

/// For each chain, the block with the first marker at or after a sequence.
async fn blocks_at(
    nats: &Nats,
    stream: &str,
    chains: &[String],
    sequence: u64,
) -> Result<Vec<Extent>, NatsError> {
    let mut blocks = Vec::with_capacity(chains.len());
    for chain in chains {
        let Some(message) = nats.next_matching(stream, sequence, chain).await? else { continue };
        if let Ok(Event::Block(block)) = Event::decode(&message.payload) {
            let first = message.sequence.saturating_sub(u64::from(block.messages)).max(1);
            blocks.push(Extent { first, marker: message.sequence });
        }
    }
    Ok(blocks)
}
