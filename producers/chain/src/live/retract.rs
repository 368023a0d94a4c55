//! Retracting: a block's messages are read back and published again as removed.

use std::{collections::VecDeque, sync::Arc};

use crypto_intel_nats::{OutMessage, Start as ReadFrom, StreamMessage};
use crypto_intel_schemas::{B256, Block, Event, Kind, chain_event_id};
use crypto_intel_service::now_us;

use crate::{
    interrupt::ChainInterrupt,
    progress::Progress,
    source::ChainSource,
    stack::marker_stack::Entry,
    stack::position::Position,
    stream::lane::Lane,
    stream::messages::{ChainStream, Foreign},
};

/// How much further back is looked each time, where it is not known where a block begins.
const WIDENING: u64 = 8;

/// The newest messages of a chain up to a marker: so many of its own, each with the copies that follow it.
struct Tail {
    messages: VecDeque<StreamMessage>,
    own: usize,
    wanted: usize,
}

/// What a block left of itself in the stream before it was cut off.
struct HalfBlock {
    /// One of its events: they all name their block.
    event: Event,
    messages: Vec<StreamMessage>,
}

/// What is behind the last marker.
#[derive(Default)]
struct Unfinished {
    /// Oldest first.
    added: Vec<HalfBlock>,
    /// Blocks that were being retracted.
    removed: Vec<B256>,
    foreign: Vec<Foreign>,
}

/// Retracts published blocks.
#[derive(Debug)]
pub(crate) struct Retractor<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) stream: Arc<ChainStream>,
    pub(crate) progress: Arc<Progress<S>>,
}

impl<S: ChainSource> Retractor<S> {
    /// Retracts blocks, newest first, each by a batch of its own.
    pub(crate) async fn retract(
        &self,
        position: &mut Position,
        entries: &[Entry],
    ) -> Result<(), ChainInterrupt> {
        for entry in entries {
            self.retract_block(position, entry).await?;
        }
        self.lane.metrics.reorg(entries.len() as u64);
        Ok(())
    }

    async fn retract_block(
        &self,
        position: &mut Position,
        entry: &Entry,
    ) -> Result<(), ChainInterrupt> {
        let wanted = entry.messages as usize;
        let mut found = self.read_back(entry).await?;
        let marker = found.pop().map(|message| self.stream.event_of(&message));
        let Some(Ok(Event::Block(mut marker))) = marker else {
            return Err(ChainInterrupt::replan(format!(
                "message {} of {} is not the marker that was read there before",
                entry.sequence,
                self.stream.stream_name()
            )));
        };
        let own = self.count_own(&found);
        if own < wanted {
            tracing::error!(
                chain = self.lane.chain,
                block = entry.number,
                wanted,
                found = own,
                "events of a block that leaves the chain are no longer in the stream: consumers must go by its removed marker"
            );
        }
        let (messages, count) = self.removed(&found, entry.incarnation + 1).await;
        marker.set_incarnation(entry.incarnation + 1, now_us());
        marker.messages = count;
        marker.rows = count;
        self.publish_removal(position, messages, marker).await
    }

    /// The messages of a block with their copies, its marker last; fewer where the stream has lost some.
    async fn read_back(&self, entry: &Entry) -> Result<Vec<StreamMessage>, ChainInterrupt> {
        let filters = [self.lane.subjects.all(), self.lane.subjects.copies()];
        // Where the first block known begins is an estimate that knows nothing of copies.
        let mut begin = entry.begin_sequence.max(1);
        loop {
            let mut tail = Tail::of(entry.messages as usize + 1);
            self.stream
                .read(&filters, ReadFrom::Sequence(begin), entry.sequence, |message| {
                    tail.push(message.clone(), |subject| self.lane.subjects.is_own(subject));
                })
                .await?;
            if entry.is_begin_known || tail.is_complete() {
                return Ok(tail.messages.into());
            }
            let first = self.stream.first_sequence().await?;
            if begin <= first {
                return Ok(tail.messages.into());
            }
            let width = (entry.sequence + 1 - begin).saturating_mul(WIDENING);
            begin = entry.sequence.saturating_sub(width).max(first).max(1);
        }
    }

    fn count_own(&self, messages: &[StreamMessage]) -> usize {
        messages.iter().filter(|message| self.lane.subjects.is_own(&message.subject)).count()
    }

    /// Bodies as removed, newest first, each followed by its copies for watched addresses, without those that
    /// are never retracted and those that are not ours. The count is without the copies.
    async fn removed(&self, bodies: &[StreamMessage], incarnation: u32) -> (Vec<OutMessage>, u32) {
        let now = now_us();
        let mut messages = Vec::with_capacity(bodies.len() + 1);
        let mut copies = Vec::new();
        let mut foreign = Vec::new();
        let mut count = 0;
        for body in bodies.iter().rev() {
            let mut event = match self.stream.event_of(body) {
                Ok(event) => event,
                Err(reason) => {
                    foreign.push(Foreign { message: body.clone(), reason });
                    continue;
                }
            };
            if event.kind().is_lasting() {
                continue;
            }
            event.set_incarnation(incarnation, now);
            let mut message = self.lane.subjects.message(&event);
            message.subject.clone_from(&body.subject);
            if self.lane.subjects.is_own(&message.subject) {
                messages.push(message);
                messages.append(&mut copies);
                count += 1;
            } else {
                copies.push(message);
            }
        }
        self.stream.set_aside(foreign).await;
        (messages, count)
    }

    async fn publish_removal(
        &self,
        position: &mut Position,
        mut messages: Vec<OutMessage>,
        marker: Block,
    ) -> Result<(), ChainInterrupt> {
        messages.push(self.lane.subjects.message(&Event::Block(marker.clone())));
        let last = messages.len() - 1;
        let published = position.publisher.publish(messages).await?;
        position.stack.fold(&marker, published.sequence_of(last));
        self.progress.moved(&position.stack, 0, 0);
        Ok(())
    }

    /// Messages after the last marker are of a block or a retraction that was cut off between its
    /// batches: a block is retracted, a retraction is done again. What is not one of our messages is set aside.
    pub(crate) async fn retract_unfinished(
        &self,
        position: &mut Position,
        fence: u64,
    ) -> Result<(), ChainInterrupt> {
        let unfinished = self.read_unfinished(position.stack.last_marker(), fence).await?;
        self.stream.set_aside(unfinished.foreign).await;
        if unfinished.added.is_empty() {
            let top = position.stack.top().cloned();
            return match top.filter(|top| unfinished.removed.contains(&top.hash)) {
                Some(top) => {
                    tracing::warn!(
                        chain = self.lane.chain,
                        block = top.number,
                        "a block was left half-retracted, retracting it again"
                    );
                    self.retract_block(position, &top).await
                }
                None => Ok(()),
            };
        }
        for half in unfinished.added.iter().rev() {
            self.retract_half(position, half).await?;
        }
        Ok(())
    }

    async fn read_unfinished(
        &self,
        last_marker: u64,
        fence: u64,
    ) -> Result<Unfinished, ChainInterrupt> {
        let copies = self.stream.last_sequence(self.lane.subjects.copies()).await?;
        let from = ReadFrom::Sequence(last_marker + 1);
        let filters = [self.lane.subjects.all(), self.lane.subjects.copies()];
        let mut unfinished = Unfinished::default();
        let mut whole = None;
        self.stream
            .read(&filters, from, fence.max(copies), |message| {
                match self.stream.event_of(message) {
                    Ok(Event::Block(marker)) if !marker.removed => whole = Some(message.sequence),
                    Ok(event) => unfinished.take(event, message),
                    Err(reason) => {
                        unfinished.foreign.push(Foreign { message: message.clone(), reason });
                    }
                }
            })
            .await?;
        match whole {
            // A block with its marker is whole: the server that named an older marker as the last one was behind.
            Some(sequence) => Err(ChainInterrupt::replan(format!(
                "the stream's newest marker was read as message {last_marker}, but message {sequence} is one"
            ))),
            None => Ok(unfinished),
        }
    }

    async fn retract_half(
        &self,
        position: &mut Position,
        half: &HalfBlock,
    ) -> Result<(), ChainInterrupt> {
        let Some(fields) = half.event.block_fields() else { return Ok(()) };
        tracing::warn!(
            chain = self.lane.chain,
            block = fields.block_number,
            messages = half.messages.len(),
            "a block was left half-published, retracting it"
        );
        let incarnation = fields.incarnation + 1;
        let (messages, count) = self.removed(&half.messages, incarnation).await;
        let marker = Block {
            id: chain_event_id(&self.lane.chain, &fields.block_hash, Kind::Block),
            event_at_us: fields.block_time_us,
            observed_at_us: now_us(),
            chain: self.lane.chain.clone(),
            chain_id: fields.chain_id,
            block_number: fields.block_number,
            block_hash: fields.block_hash,
            block_time_us: fields.block_time_us,
            removed: true,
            incarnation,
            parent_hash: position.stack.expected_parent().unwrap_or(B256::ZERO),
            finalized_number: position.stack.finalized(),
            rows: count,
            messages: count,
            ..Block::empty()
        };
        self.publish_removal(position, messages, marker).await
    }
}

impl Unfinished {
    fn take(&mut self, event: Event, message: &StreamMessage) {
        let Some(fields) = event.block_fields() else { return };
        let (hash, removed) = (fields.block_hash, fields.removed);
        if removed {
            self.removed.push(hash);
            return;
        }
        let of_block = |half: &&mut HalfBlock| {
            half.event.block_fields().is_some_and(|fields| fields.block_hash == hash)
        };
        match self.added.iter_mut().find(of_block) {
            Some(half) => half.messages.push(message.clone()),
            None => self.added.push(HalfBlock { event, messages: vec![message.clone()] }),
        }
    }
}

impl Tail {
    fn of(wanted: usize) -> Self {
        Self { messages: VecDeque::new(), own: 0, wanted }
    }

    /// Takes the next message and forgets what is too old, so that no more is held than one block has.
    fn push(&mut self, message: StreamMessage, is_own_at: impl Fn(&str) -> bool) {
        let is_own = is_own_at(&message.subject);
        if self.messages.is_empty() && !is_own {
            // The copy of a message before the first one that was read.
            return;
        }
        self.messages.push_back(message);
        self.own += usize::from(is_own);
        if self.own > self.wanted {
            self.own -= 1;
            self.messages.pop_front();
            while self.messages.front().is_some_and(|front| !is_own_at(&front.subject)) {
                self.messages.pop_front();
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.own >= self.wanted
    }
}
