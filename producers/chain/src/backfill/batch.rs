//! Blocks of the past on their way out: whole blocks, many events to a message, in large batches.

use anyhow::Context as _;
use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{B256, Block, CHUNK_SCHEMA, ChunkWriter, Event, Kind};
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

/// A batch is closed at about this many events: beyond it the rate grows no more.
const BATCH_EVENTS: usize = 5_000;
/// Or at this many bytes of bodies: what is under way bounds the memory.
const BATCH_BYTES: usize = 4 << 20;
/// A chunk is closed after the block with which it has this many bytes before compression. Larger ones are hardly smaller
/// by event, and a reader decompresses all of it.
const CHUNK_BYTES: usize = 512 << 10;
/// Within a block a chunk is closed before it has more bytes than this, or than an eighth less than the server's maximum:
/// the server takes even what cannot be compressed.
const MAX_CHUNK_BYTES: usize = 896 << 10;

/// Whole blocks that go out together, as chunks.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<OutMessage>,
    chunk: ChunkWriter,
    max_chunk_bytes: usize,
    pub(crate) events: usize,
    bytes: usize,
    pub(crate) blocks: u64,
    /// Number and hash of the last one.
    pub(crate) last: Option<(u64, B256)>,
}

impl Batch {
    /// An empty one, for a server that takes messages of this size.
    pub(crate) fn new(max_payload: usize) -> Self {
        Self {
            messages: Vec::new(),
            chunk: ChunkWriter::default(),
            max_chunk_bytes: MAX_CHUNK_BYTES.min(max_payload - max_payload / 8),
            events: 0,
            bytes: 0,
            blocks: 0,
            last: None,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events >= BATCH_EVENTS || self.bytes >= BATCH_BYTES
    }

    /// Adds a block's events, its marker last; `partial` when there may be more.
    pub(crate) fn add<D>(
        &mut self,
        subjects: &Subjects,
        prepared: &Prepared<D>,
        finalized: u64,
        partial: bool,
    ) -> anyhow::Result<()> {
        let bodies = &prepared.bodies;
        for (tail, body) in subjects.tails(bodies).zip(bodies.each()) {
            self.push(subjects, &tail, body)?;
        }
        let finality = MarkerFinality { finalized, finalized_hash: None, safe: None };
        let counts = (bodies.len(), bodies.len());
        // What is final needs no agreement.
        let marker = block_events::marker(&prepared.marker, finality, Vec::new(), counts);
        let marker = Event::Block(Block { partial, ..marker });
        self.push(subjects, Kind::Block.as_str(), &marker.encode())?;
        self.blocks += 1;
        self.last = Some((prepared.header.number, prepared.header.hash));
        if self.chunk.bytes() >= CHUNK_BYTES {
            self.close_chunk(subjects)?;
        }
        Ok(())
    }

    fn push(&mut self, subjects: &Subjects, tail: &str, body: &[u8]) -> anyhow::Result<()> {
        if self.chunk.bytes() + body.len() > self.max_chunk_bytes {
            self.close_chunk(subjects)?;
        }
        self.chunk.push(tail, body);
        self.events += 1;
        self.bytes += body.len();
        Ok(())
    }

    /// Makes a message of what was added since the last one.
    pub(crate) fn close_chunk(&mut self, subjects: &Subjects) -> anyhow::Result<()> {
        if self.chunk.events() > 0 {
            let body = self.chunk.finish().context("compress a chunk of history")?;
            self.messages.push(OutMessage::new(subjects.chunk(), body).schema(CHUNK_SCHEMA));
        }
        Ok(())
    }
}

/// A batch that is on disk.
#[derive(Debug)]
pub(crate) struct Acked {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) blocks: u64,
    pub(crate) events: u64,
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
    pub(crate) fn new(next: u64, parent: Option<B256>, batch: Batch) -> Self {
        Self {
            fetching: FuturesOrdered::new(),
            publishing: FuturesOrdered::new(),
            batch,
            next_fetch: next,
            taken: None,
            parent,
        }
    }

    /// Whether the next block is built on the one before it. A marker that stands for blocks before its own says nothing of
    /// their hashes.
    pub(crate) fn link(&mut self, header: &Header, covers_from: Option<u64>) -> anyhow::Result<()> {
        let is_next = covers_from.is_none();
        if let Some(parent) = self.parent.filter(|parent| is_next && *parent != header.parent.hash)
        {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use alloy_primitives::keccak256;
    use crypto_intel_schemas::{BlockRef, Chunk, Log};

    use super::*;
    use crate::source::bodies::BodiesWriter;

    /// A block of logs that no compression makes smaller.
    fn block(number: u64, logs: u64) -> Prepared<()> {
        let mut bodies = BodiesWriter::with_capacity(40);
        for log in 0..logs {
            let hashes = (0..300_u64).map(|place| [number, log, place].map(u64::to_be_bytes));
            let data: Vec<u8> = hashes.flat_map(|seed| keccak256(seed.concat()).0).collect();
            bodies.push(&Event::from(Log { data: data.into(), ..Log::empty() }), []);
        }
        let parent = BlockRef { number: number.saturating_sub(1), hash: B256::ZERO };
        let header = Header { number, hash: B256::ZERO, parent };
        Prepared { header, marker: Block::empty(), bodies: bodies.finish(), detail: () }
    }

    #[test]
    fn no_chunk_is_larger_than_the_server_takes() {
        let subjects = Subjects::of_history("base");
        for max_payload in [1 << 20, 64 << 10] {
            let mut batch = Batch::new(max_payload);
            for number in 0..5 {
                batch.add(&subjects, &block(number, 40), 100, false).unwrap();
            }
            batch.close_chunk(&subjects).unwrap();
            let sizes: Vec<usize> = batch.messages.iter().map(|one| one.payload.len()).collect();
            assert!(sizes.iter().all(|size| *size < max_payload), "{sizes:?} of {max_payload}");
            assert!(sizes.len() > 1_900_000 / max_payload, "{sizes:?}");
            let events: usize = batch
                .messages
                .iter()
                .map(|one| Chunk::read(&one.payload).unwrap().events.len())
                .sum();
            assert_eq!((events, batch.events), (5 * 41, 5 * 41));
        }
    }
}
