//! Where a chain resumes: by folding its markers, or at its beginning.

use std::sync::Arc;

use crypto_intel_nats::Start as ReadFrom;
use crypto_intel_schemas::{B256, Block, ChainCursor, Event};

use crate::{
    backfill::{
        audit_watermark::read_verified,
        queue::{GapReason, Gaps},
    },
    interrupt::ChainInterrupt,
    live::retract::Retractor,
    source::ChainSource,
    source::header::{BlockId, Header},
    source::unavailable::Unavailable,
    stack::cursor,
    stack::finality::FinalBlock,
    stack::limits::{Limits, Refused},
    stack::marker_stack::MarkerStack,
    stack::position::Position,
    status::Status,
    stream::batch_limit::BatchLimit,
    stream::lane::Lane,
    stream::messages::{ChainStream, Foreign},
    stream::publisher::Publisher,
};

/// Makes the leader's position out of what the stream holds.
#[derive(Debug)]
pub(crate) struct Resumer<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) source: Arc<S>,
    pub(crate) stream: Arc<ChainStream>,
    pub(crate) retractor: Arc<Retractor<S>>,
    pub(crate) final_block: FinalBlock<S>,
    pub(crate) status: Status,
    pub(crate) limits: Arc<Limits>,
    pub(crate) batch_limit: BatchLimit,
    /// Where a chain that was never followed begins; none for the block after the final one.
    pub(crate) start: Option<u64>,
}

impl<S: ChainSource> Resumer<S> {
    /// Reads what the stream holds of this chain, retracts what was left half-done, and stands ready
    /// to publish.
    pub(crate) async fn resume(&self) -> Result<Position, ChainInterrupt> {
        self.source.before_resume().await?;
        let Lane { family, chain, nats, subjects, metrics, .. } = self.lane.as_ref();
        let cursor = cursor::read(nats, *family, chain).await?;
        // Before the marker: a batch that the last leader left on its way may land at any moment, and
        // a whole block must not be taken for a half one. What lands later is refused by the fence.
        let fence = self.stream.last_sequence(subjects.all()).await?;
        let last = self.stream.last_sequence(subjects.marker()).await?;
        if last > fence {
            return Err(ChainInterrupt::replan("a batch landed while the stream was read"));
        }
        let folded = match last {
            0 => MarkerStack::default(),
            last => self.fold(cursor.as_ref(), last).await?,
        };
        let stack = if folded.is_empty() { self.begin(cursor.as_ref()).await? } else { folded };
        let mut publisher = Publisher::new(
            nats.clone(),
            subjects.all().to_owned(),
            self.batch_limit.clone(),
            metrics.clone(),
        );
        publisher.set_fence(fence);
        let mut position = Position { stack, publisher, contested_since: None };
        if fence > position.stack.last_marker() {
            self.retractor.retract_unfinished(&mut position, fence).await?;
        }
        self.check_bottom(&position.stack).await?;
        let top = position.stack.top();
        tracing::info!(
            chain,
            top = top.map(|top| top.number),
            next = position.stack.next_number(),
            finalized = position.stack.finalized(),
            "resumed"
        );
        self.status.resumed(top.map(|top| top.number), position.stack.next_number());
        Ok(position)
    }

    /// Folds the markers from the newest known final one to the last.
    async fn fold(
        &self,
        cursor: Option<&ChainCursor>,
        last: u64,
    ) -> Result<MarkerStack, ChainInterrupt> {
        let from = match cursor {
            Some(cursor) if self.holds(cursor).await? => ReadFrom::Sequence(cursor.final_sequence),
            Some(cursor) => {
                tracing::warn!(
                    chain = self.lane.chain,
                    cursor = cursor.number,
                    "stream is not the one of the cursor, all its markers are folded"
                );
                ReadFrom::First
            }
            None => ReadFrom::First,
        };
        let mut stack = MarkerStack::default();
        let mut foreign = Vec::new();
        let take = |message: &_| match self.stream.event_of(message) {
            Ok(Event::Block(marker)) => stack.fold(&marker, message.sequence),
            // Its subject says that it is a marker, so that it can be no other event.
            Ok(_) => {}
            Err(reason) => foreign.push(Foreign { message: message.clone(), reason }),
        };
        self.stream.read(&[self.lane.subjects.marker()], from, last, take).await?;
        self.stream.set_aside(foreign).await;
        Ok(stack)
    }

    /// Whether the stream still has the cursor's final marker at its place.
    async fn holds(&self, cursor: &ChainCursor) -> Result<bool, ChainInterrupt> {
        let message = self.stream.message(cursor.final_sequence).await?;
        let Some(message) = message else { return Ok(false) };
        let is_marker = message.subject == self.lane.subjects.marker();
        Ok(is_marker
            && matches!(
                self.stream.event_of(&message),
                Ok(Event::Block(Block { block_hash, removed: false, .. })) if block_hash == cursor.final_hash
            ))
    }

    /// A chain without markers: new, or its stream was lost.
    async fn begin(&self, cursor: Option<&ChainCursor>) -> Result<MarkerStack, ChainInterrupt> {
        let chain = &self.lane.chain;
        if let Some(cursor) = cursor {
            tracing::error!(
                chain,
                published = cursor.number,
                resumed_after = cursor.final_number,
                "stream {} holds nothing of this chain although blocks were published: it was deleted or purged; events since the last final block are published again",
                self.stream.stream_name()
            );
            self.queue_unverified(cursor).await;
            return Ok(MarkerStack::begin(cursor.final_number + 1, cursor.final_hash));
        }
        let finalized = self.final_block.number().await?;
        let next = self.start.unwrap_or(finalized + 1);
        let head = self.final_block.head_at_least(next.saturating_sub(1)).await?;
        let parent_hash = self.parent_of(next, head).await?;
        tracing::info!(chain, next, finalized, "chain begins");
        Ok(MarkerStack::begin(next, parent_hash))
    }

    /// The block on which the first block from `next` on is built.
    async fn parent_of(&self, next: u64, head: u64) -> Result<B256, ChainInterrupt> {
        for number in next..=head {
            if let Some(header) = self.source.header(BlockId::Number(number)).await? {
                return Ok(header.parent.hash);
            }
        }
        Ok(last_at_or_below(self.source.as_ref(), next.min(head)).await?.hash)
    }

    /// Events of a lost stream may not have been stored by any consumer: if an audit knows where
    /// that begins, the history lane publishes them again.
    async fn queue_unverified(&self, cursor: &ChainCursor) {
        let Lane { chain, nats, .. } = self.lane.as_ref();
        let queued = async {
            let verified = read_verified(nats, chain).await?;
            let from = verified.map(|verified| verified.number + 1);
            if let Some(from) = from.filter(|from| *from <= cursor.final_number) {
                let gaps = Gaps::open(nats, chain).await?;
                gaps.queue(from, cursor.final_number, GapReason::Audit).await?;
            }
            anyhow::Ok(from)
        };
        match queued.await {
            Ok(Some(from)) => {
                tracing::warn!(
                    chain,
                    from,
                    to = cursor.final_number,
                    "blocks above the last verified one are published again on the history lane"
                );
            }
            outcome => {
                let error = outcome.err().map(|error| format!("{error:#}"));
                tracing::error!(
                    chain,
                    error,
                    hint = format!("run `crypto-intel audit {chain}`"),
                    "no verified block is known: blocks that were not stored before the stream was lost have to be found"
                );
            }
        }
    }

    /// The bottom is final: if the endpoint has another block there, it is not the same chain.
    async fn check_bottom(&self, stack: &MarkerStack) -> Result<(), ChainInterrupt> {
        let Some(bottom) = stack.newest_final() else { return Ok(()) };
        match self.source.head() {
            Some(head) if head.block.number >= bottom.number => {}
            // Behind or not connected: following finds out.
            _ => return Ok(()),
        }
        match self.source.header(BlockId::Number(bottom.number)).await {
            Ok(Some(header)) if header.hash == bottom.hash => Ok(()),
            Ok(_) => {
                Err(Refused::below_final(&self.limits, bottom.number, stack.finalized()).into())
            }
            Err(error) if error.is_unknown() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The newest block at or below a number.
pub(crate) async fn last_at_or_below<S: ChainSource>(
    source: &S,
    number: u64,
) -> Result<Header, Unavailable> {
    for number in (0..=number).rev() {
        if let Some(header) = source.header(BlockId::Number(number)).await? {
            return Ok(header);
        }
    }
    Err(Unavailable::unknown(format!("the chain has no block at or below {number}")))
}
