//! Blocks of the past on their way out: whole blocks in large batches.

use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{B256, Block, Event};
use futures::stream::FuturesOrdered;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    live::block_events::{self, MarkerFinality},
    source::bodies::Prepared,
    source::header::{Header, Span},
    source::unavailable::Unavailable,
    stream::subjects::Subjects,
};

/// A batch is closed at about this many messages: beyond it the rate grows no more.
pub(crate) const BATCH_MESSAGES: usize = 5_000;
/// Or at this many bytes of bodies: what is under way bounds the memory.
const BATCH_BYTES: usize = 4 << 20;

/// Whole blocks that go out together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<OutMessage>,
    bytes: usize,
    pub(crate) blocks: u64,
    /// Number and hash of the last one.
    pub(crate) last: Option<(u64, B256)>,
}

impl Batch {
    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.messages.len() >= BATCH_MESSAGES.min(limit) || self.bytes >= BATCH_BYTES
    }

    /// Whether another block makes it too large.
    pub(crate) fn overflows(&self, more: usize, limit: usize) -> bool {
        self.blocks > 0 && self.messages.len() + more > limit
    }

    pub(crate) fn add(&mut self, header: &Header, mut messages: Vec<OutMessage>) {
        self.bytes += messages.iter().map(|message| message.payload.len()).sum::<usize>();
        self.messages.append(&mut messages);
        self.blocks += 1;
        self.last = Some((header.number, header.hash));
    }
}

/// A batch that is on disk.
#[derive(Debug)]
pub(crate) struct Acked {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) blocks: u64,
    pub(crate) messages: u64,
}

/// Blocks that are fetched together.
pub(crate) type Fetching<D> = AbortOnDropHandle<Result<(Span, Vec<Prepared<D>>), Unavailable>>;
/// Not aborted when it is dropped: a batch that is begun holds a place at the server until it is finished.
pub(crate) type Publishing = JoinHandle<anyhow::Result<Acked>>;

/// What of one gap is under way.
pub(crate) struct Filling<D> {
    pub(crate) fetching: FuturesOrdered<Fetching<D>>,
    pub(crate) publishing: FuturesOrdered<Publishing>,
    pub(crate) batch: Batch,
    /// Next number to fetch.
    pub(crate) next_fetch: u64,
    /// Last number of the spans that were taken whole.
    pub(crate) taken: Option<u64>,
    /// Hash on which the next block must be built.
    parent: Option<B256>,
}

impl<D> Filling<D> {
    pub(crate) fn new(next: u64, parent: Option<B256>) -> Self {
        Self {
            fetching: FuturesOrdered::new(),
            publishing: FuturesOrdered::new(),
            batch: Batch::default(),
            next_fetch: next,
            taken: None,
            parent,
        }
    }

    /// Whether the next block is built on the one before it.
    pub(crate) fn link(&mut self, header: &Header) -> anyhow::Result<()> {
        if let Some(parent) = self.parent.filter(|parent| *parent != header.parent.hash) {
            anyhow::bail!(
                "block {} is built on {:#x}, but the block before it is {parent:#x}",
                header.number,
                header.parent.hash
            );
        }
        self.parent = Some(header.hash);
        Ok(())
    }
}

/// The messages of a block of the past, its marker last.
pub(crate) fn past_messages<D>(
    subjects: &Subjects,
    prepared: &Prepared<D>,
    finalized: u64,
    partial: bool,
) -> Vec<OutMessage> {
    let mut messages = Vec::new();
    subjects.add_bodies(&prepared.bodies, &mut messages);
    let finality = MarkerFinality { finalized, finalized_hash: None, safe: None };
    let counts = (prepared.bodies.len(), messages.len());
    let marker = block_events::marker(&prepared.marker, finality, counts);
    messages.push(subjects.message(&Event::Block(Block { partial, ..marker })));
    messages
}
