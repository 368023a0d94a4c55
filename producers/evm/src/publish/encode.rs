//! From events to messages.

use std::{
    borrow::Cow,
    ops::{Range, RangeInclusive},
};

use bytes::Bytes;
use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{
    Address, B256, Block, BlockRef, Event, Finalized, Jump, Kind, Reorg, Uint256, chain_event_id,
    subjects::{self, Lane},
};

use crate::{
    block::{BlockData, Header},
    decode::{BlockContext, Decoder},
    enrich::watch::WatchView,
};

/// A block's events as bodies, one after the other in one buffer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bodies {
    bytes: Bytes,
    parts: Vec<(Kind, Range<usize>)>,
    /// Names of those that are `event`, in their order: their subjects end in it.
    event_names: Vec<String>,
    /// Version of what factories had made when this was decoded.
    known_contracts: u64,
    /// Parts that touch a watched address, by their place, in its order.
    copies: Vec<(usize, Address)>,
}

impl Bodies {
    /// Decodes and encodes a block.
    pub(crate) fn of(decoder: &Decoder, block: &BlockData, context: &BlockContext) -> Self {
        Self::chosen(decoder, block, context, |_| true)
    }

    /// The same, but only the events that touch an address.
    pub(crate) fn touching(
        decoder: &Decoder,
        block: &BlockData,
        context: &BlockContext,
        address: &Address,
    ) -> Self {
        Self::chosen(decoder, block, context, |event| {
            event.touched().iter().any(|found| found == address)
        })
    }

    fn chosen(
        decoder: &Decoder,
        block: &BlockData,
        context: &BlockContext,
        is_wanted: impl Fn(&Event) -> bool,
    ) -> Self {
        let events = block.logs.len() + block.transactions.len();
        let mut buffer = Vec::with_capacity(events * 640);
        let mut parts = Vec::with_capacity(events);
        let mut event_names = Vec::new();
        let known_contracts = decoder.discover(block);
        let mut copies = Vec::new();
        decoder.decode(block, context, &mut |mut event: Event| {
            if !is_wanted(&event) {
                return;
            }
            let start = buffer.len();
            label(&mut event, &context.watched, parts.len(), &mut copies);
            event.encode_to(&mut buffer);
            if let Event::ContractEvent(body) = &event {
                event_names.push(body.name.clone());
            }
            parts.push((event.kind(), start..buffer.len()));
        });
        Self { bytes: Bytes::from(buffer), parts, event_names, known_contracts, copies }
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Version of what factories had made when this was decoded.
    pub(crate) fn known_contracts(&self) -> u64 {
        self.known_contracts
    }

    /// How many copies go to the subjects of watched addresses.
    pub(crate) fn copies(&self) -> usize {
        self.copies.len()
    }

    /// Kinds of the events.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.parts.iter().map(|(kind, _)| *kind)
    }
}

/// Puts the labels of watched addresses on an event that touches them, and notes where its copies go.
fn label(event: &mut Event, watched: &WatchView, place: usize, copies: &mut Vec<(usize, Address)>) {
    if watched.is_empty() {
        return;
    }
    for address in event.touched().iter() {
        let Some(found) = watched.labels_of(address) else { continue };
        copies.push((place, *address));
        let Some(labels) = event.watched_mut() else { continue };
        for text in found {
            if !labels.contains(text) {
                labels.push(text.clone());
            }
        }
    }
}

/// Subjects of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    /// By the kind's place in [`Kind::ALL`], which is its discriminant.
    by_kind: Vec<String>,
    all: String,
    marker: String,
    chain: String,
    lane: Lane,
    copies: String,
}

impl Subjects {
    pub(crate) fn of_chain(chain: &str) -> Self {
        Self::of_lane(Lane::Live, chain)
    }

    /// Those of the chain's history lane.
    pub(crate) fn of_history(chain: &str) -> Self {
        Self::of_lane(Lane::History, chain)
    }

    fn of_lane(lane: Lane, chain: &str) -> Self {
        let by_kind = Kind::ALL.iter().map(|kind| subjects::chain(lane, chain, *kind)).collect();
        Self {
            by_kind,
            all: subjects::chain_all(lane, chain),
            chain: chain.to_owned(),
            marker: subjects::chain(lane, chain, Kind::Block),
            lane,
            copies: subjects::watch_chain_all(chain),
        }
    }

    /// Filter of everything of the chain.
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// Filter of all copies for watched addresses.
    pub(crate) fn copies(&self) -> &str {
        &self.copies
    }

    /// Whether a subject is one of the chain's own, not that of a copy.
    pub(crate) fn is_own(&self, subject: &str) -> bool {
        is_under(subject, &self.all)
    }

    /// Subject of the markers.
    pub(crate) fn marker(&self) -> &str {
        &self.marker
    }

    fn of(&self, kind: Kind) -> String {
        self.by_kind.get(kind as usize).cloned().unwrap_or_default()
    }

    fn of_event(&self, name: &str) -> String {
        subjects::chain_event(self.lane, &self.chain, name)
    }

    /// The messages of a block's bodies, each followed by its copies for watched addresses.
    pub(crate) fn add_bodies_and_copies(&self, bodies: &Bodies, messages: &mut Vec<OutMessage>) {
        if bodies.copies.is_empty() {
            return self.add_bodies(bodies, messages);
        }
        let mut own = Vec::new();
        self.add_bodies(bodies, &mut own);
        let mut copies = bodies.copies.iter().peekable();
        for (place, message) in own.into_iter().enumerate() {
            messages.push(message.clone());
            while let Some((_, address)) = copies.next_if(|(of, _)| *of == place) {
                let kind = bodies.parts[place].0;
                let subject = subjects::watch(&self.chain, address, kind);
                messages.push(OutMessage { subject, ..message.clone() });
            }
        }
    }

    /// The messages of a block's bodies.
    pub(crate) fn add_bodies(&self, bodies: &Bodies, messages: &mut Vec<OutMessage>) {
        messages.reserve(bodies.len() + 3);
        let mut event_names = bodies.event_names.iter();
        for (kind, range) in &bodies.parts {
            let name = match kind {
                Kind::ContractEvent => event_names.next(),
                _ => None,
            };
            messages.push(OutMessage {
                subject: match name {
                    Some(name) => self.of_event(name),
                    None => self.of(*kind),
                },
                schema: Some(Cow::Borrowed(kind.schema())),
                payload: bodies.bytes.slice(range.clone()),
                message_id: None,
                headers: Vec::new(),
            });
        }
    }

    /// One event as a message.
    pub(crate) fn message(&self, event: &Event) -> OutMessage {
        let kind = event.kind();
        OutMessage {
            subject: match event {
                Event::ContractEvent(body) => self.of_event(&body.name),
                _ => self.of(kind),
            },
            schema: Some(Cow::Borrowed(kind.schema())),
            payload: Bytes::from(event.encode()),
            message_id: None,
            headers: Vec::new(),
        }
    }
}

/// Whether a subject matches a filter that ends in `>`.
pub(crate) fn is_under(subject: &str, filter: &str) -> bool {
    filter.strip_suffix('>').is_some_and(|prefix| subject.starts_with(prefix))
}

/// The common fields of a block's own events: marker, reorg, finalized.
macro_rules! of_block {
    ($decoder:expr, $header:expr, $context:expr, $kind:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $kind {
            id: chain_event_id($decoder.chain(), &$header.hash, Kind::$kind),
            event_at_us: $header.time_us(),
            observed_at_us: $context.observed_at_us,
            chain: $decoder.chain().to_owned(),
            chain_id: $decoder.chain_id(),
            block_number: $header.number,
            block_hash: $header.hash,
            block_time_us: $header.time_us(),
            removed: false,
            incarnation: $context.incarnation,
            $($field: $value,)*
            ..$kind::empty()
        }
    };
}

/// How far a chain is safe and final, as its next marker says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Finality {
    pub(crate) finalized: u64,
    pub(crate) finalized_hash: Option<B256>,
    pub(crate) safe: Option<u64>,
}

/// The marker that ends a block.
pub(crate) fn marker(
    decoder: &Decoder,
    block: &BlockData,
    context: &BlockContext,
    finality: Finality,
    (rows, messages): (usize, usize),
) -> Block {
    let header = &block.header;
    of_block!(
        decoder,
        header,
        context,
        Block {
            parent_hash: header.parent_hash,
            safe_number: finality.safe,
            finalized_number: finality.finalized,
            rows: clamp(rows),
            messages: clamp(messages),
            transactions: clamp(block.transactions.len()),
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
            base_fee_per_gas: header.base_fee_per_gas.map(Uint256),
            miner: header.miner,
            unverified: block.unverified.clone(),
        }
    )
}

/// The event that says that blocks left the chain.
pub(crate) fn reorg(
    decoder: &Decoder,
    header: &Header,
    context: &BlockContext,
    dropped: Vec<BlockRef>,
    ancestor: BlockRef,
) -> Reorg {
    of_block!(
        decoder,
        header,
        context,
        Reorg { depth: clamp(dropped.len()), ancestor: ancestor, dropped: dropped }
    )
}

/// The event that says that a range was left to the history lane.
pub(crate) fn jump(
    decoder: &Decoder,
    header: &Header,
    context: &BlockContext,
    left: RangeInclusive<u64>,
) -> Jump {
    of_block!(decoder, header, context, Jump { from_number: *left.start(), to_number: *left.end() })
}

/// The event that says that the finalized block moved.
pub(crate) fn finalized(
    decoder: &Decoder,
    header: &Header,
    context: &BlockContext,
    finality: Finality,
) -> Finalized {
    of_block!(
        decoder,
        header,
        context,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_subject() {
        let (subjects, past) = (Subjects::of_chain("base"), Subjects::of_history("base"));
        for kind in Kind::ALL {
            assert_eq!(subjects.of(*kind), format!("evm.base.{kind}"));
            assert_eq!(past.of(*kind), format!("history.base.{kind}"));
        }
    }
}
