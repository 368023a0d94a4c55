//! Blocks that go out together, with their markers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{B256, Block, BlockRef, Event, Kind};

use crate::{
    live::ahead::Fetched,
    live::block_events::{self, MarkerFinality},
    source::{ChainSource, header::Header},
    stack::finality::FinalBlock,
    stack::marker_stack::MarkerStack,
    status::Status,
    stream::lane::Lane,
};

/// What a block has beside its events: a marker, and what it says of finality, a reorganisation or a jump.
const MAX_OWN_MESSAGES: usize = 4;

/// Blocks that go out together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) messages: Vec<OutMessage>,
    /// Each block's marker and the place of its message.
    pub(crate) markers: Vec<(Block, usize)>,
    pub(crate) counts: Vec<(Kind, u64)>,
    /// First sight of the newest block that was fetched as the head.
    pub(crate) seen_at_us: Option<i64>,
}

impl Group {
    /// Whether a block still fits into the same batch; the first one always does.
    pub(crate) fn has_room_for<D>(&self, next: &Fetched<D>, limit: usize) -> bool {
        let bodies = &next.prepared.bodies;
        let more = bodies.len() + bodies.copies() + MAX_OWN_MESSAGES;
        self.markers.is_empty() || self.messages.len() + more <= limit
    }

    /// The hash on which the next block must be built.
    pub(crate) fn expected_parent(&self, stack: &MarkerStack) -> Option<B256> {
        match self.markers.last() {
            Some((marker, _)) => Some(marker.block_hash),
            None => stack.expected_parent(),
        }
    }

    fn hash_at(&self, number: u64) -> Option<B256> {
        let marker = self.markers.iter().find(|(marker, _)| marker.block_number == number);
        marker.map(|(marker, _)| marker.block_hash)
    }

    fn count(&mut self, kinds: impl Iterator<Item = Kind>) {
        for kind in kinds {
            match self.counts.iter_mut().find(|(counted, _)| *counted == kind) {
                Some((_, count)) => *count += 1,
                None => self.counts.push((kind, 1)),
            }
        }
    }
}

/// Makes the messages of blocks.
#[derive(Debug)]
pub(crate) struct Assembler<S> {
    lane: Arc<Lane>,
    source: Arc<S>,
    final_block: FinalBlock<S>,
    status: Status,
    /// The last block of which an endpoint called another one final.
    other_final: AtomicU64,
}

impl<S: ChainSource> Assembler<S> {
    pub(crate) fn new(
        lane: Arc<Lane>,
        source: Arc<S>,
        final_block: FinalBlock<S>,
        status: Status,
    ) -> Self {
        Self { lane, source, final_block, status, other_final: AtomicU64::new(u64::MAX) }
    }

    /// Adds a block's messages: what is owed from before, its events, its marker.
    pub(crate) fn add(
        &self,
        stack: &MarkerStack,
        group: &mut Group,
        mut fetched: Fetched<S::Detail>,
    ) {
        let header = fetched.prepared.header;
        // Before the family looks at what it knows: what it learns later finds this block among those that lack something.
        self.status.decides(header.number);
        self.source.refresh(&mut fetched.prepared, stack.next_incarnation(&header.hash));
        let (bodies, marker) = (&fetched.prepared.bodies, &fetched.prepared.marker);
        let begin = group.messages.len();
        let before = group.markers.last().map(|(marker, _)| marker.finalized_number);
        let before = before.unwrap_or_else(|| stack.finalized());
        let finality = self.finality(stack, group, before, &fetched);
        let subjects = &self.lane.subjects;
        if group.markers.is_empty()
            && let Some((dropped, ancestor)) = stack.owed_reorg()
        {
            let event = block_events::reorg(marker, dropped, ancestor);
            group.messages.push(subjects.message(&Event::Reorg(event)));
        }
        if group.markers.is_empty()
            && let Some(left) = stack.owed_jump()
        {
            let event = block_events::jump(marker, left);
            group.messages.push(subjects.message(&Event::Jump(event)));
        }
        if finality.finalized > before {
            let event = block_events::finalized(marker, finality);
            group.messages.push(subjects.message(&Event::Finalized(event)));
        }
        subjects.add_bodies_and_copies(bodies, &mut group.messages);
        self.lane.metrics.watched_events(bodies.copies());
        let counts = (bodies.len(), group.messages.len() - begin - bodies.copies());
        let announced = self.announced(stack, group, &header);
        let marker = block_events::marker(marker, finality, announced, counts);
        group.markers.push((marker.clone(), group.messages.len()));
        group.messages.push(subjects.message(&Event::Block(marker)));
        group.count(bodies.kinds());
        if fetched.is_head {
            group.seen_at_us = Some(fetched.prepared.marker.observed_at_us);
        }
    }

    /// How far the chain is final as of a block: never less than before, and never beyond that block. What an
    /// endpoint claims above what we linked is no reason to call anything final: it may lie. Nor is what it says of a
    /// number where another block is published, or of a block that was fetched before it was final: one of two branches
    /// will leave.
    fn finality(
        &self,
        stack: &MarkerStack,
        group: &Group,
        before: u64,
        fetched: &Fetched<S::Detail>,
    ) -> MarkerFinality {
        let header = &fetched.prepared.header;
        let Some(said) = self.final_block.said() else {
            return MarkerFinality { finalized: before, finalized_hash: None, safe: None };
        };
        let safe = said.safe.map(|safe| safe.min(header.number));
        let ours = |number| hash_at(stack, group, header, number);
        let (finalized, finalized_hash) = match said.finalized {
            Some(block) if block.number <= header.number => {
                match ours(block.number).filter(|ours| *ours != block.hash) {
                    Some(ours) => {
                        self.warn_of_other_final(block.number, block.hash, ours);
                        (before, None)
                    }
                    None => (block.number, Some(block.hash)),
                }
            }
            Some(_) => (fetched.final_at_fetch.min(header.number), None),
            None => (self.final_block.by_depth(header.number), None),
        };
        if finalized > before {
            MarkerFinality { finalized, finalized_hash, safe }
        } else {
            MarkerFinality { finalized: before, finalized_hash: None, safe }
        }
    }

    /// How far each operator has announced this branch, highest first.
    fn announced(&self, stack: &MarkerStack, group: &Group, header: &Header) -> Vec<u64> {
        let is_ours =
            |block: &&BlockRef| hash_at(stack, group, header, block.number) == Some(block.hash);
        let operators = self.source.announced();
        let operators = operators.iter();
        let mut numbers: Vec<u64> = operators
            .filter_map(|blocks| blocks.iter().rev().find(is_ours).map(|block| block.number))
            .collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers
    }

    /// Once for each block that is called final.
    fn warn_of_other_final(&self, number: u64, final_hash: B256, ours: B256) {
        if self.other_final.swap(number, Ordering::Relaxed) != number {
            tracing::warn!(
                chain = self.lane.chain,
                block = number,
                final_hash = %format!("{final_hash:#x}"),
                published = %format!("{ours:#x}"),
                "an endpoint calls another block final than the one that is published: finality stays where it was until they agree"
            );
        }
    }
}

/// The block of a height that is published, or will be with this one.
fn hash_at(stack: &MarkerStack, group: &Group, header: &Header, number: u64) -> Option<B256> {
    if number == header.number {
        return Some(header.hash);
    }
    group.hash_at(number).or_else(|| stack.hash_at(number))
}
