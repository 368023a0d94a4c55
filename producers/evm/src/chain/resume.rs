//! Where a chain resumes: by folding its markers, or at its beginning.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{ReaderOptions, Start as ReadFrom, StreamMessage, StreamReader};
use crypto_intel_schemas::{Block, Event};
use tokio::time::timeout;

use super::{
    Position, Worker,
    cursor::Cursor,
    foreign::Foreign,
    interrupt::ChainInterrupt,
    marker_stack::{MarkerStack, Refused},
    stream::STREAM,
};
use crate::{
    backfill::{
        audit_watermark::Verified,
        queue::{GapReason, Gaps},
    },
    config::start_block::Start,
    fetch::error::{BlockId, FetchError},
    publish::batches::Publisher,
};

const READ_AT_ONCE: usize = 5_000;
/// What is known to be in the stream comes within this time, or the server has trouble.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl Worker {
    /// Reads what the stream holds of this chain, mends what was left half-done, and stands ready
    /// to publish.
    pub(crate) async fn resume(&self) -> Result<Position, ChainInterrupt> {
        self.load_discovered().await?;
        let cursor = Cursor::read(&self.nats, &self.chain).await?;
        // Before the marker: a batch that the last leader left on its way may land at any moment, and
        // a whole block must not be taken for a half one. What lands later is refused by the fence. Both
        // from the leader: replicas may be behind each other.
        let fence = self.nats.last_from_leader(STREAM, self.subjects.all()).await?;
        let fence = fence.map_or(0, |message| message.sequence);
        let last = self.nats.last_from_leader(STREAM, self.subjects.marker()).await?;
        if last.as_ref().is_some_and(|last| last.sequence > fence) {
            return Err(ChainInterrupt::replan("a batch landed while the stream was read"));
        }
        let folded = match &last {
            Some(last) => self.fold(cursor.as_ref(), last.sequence).await?,
            None => MarkerStack::default(),
        };
        let stack = if folded.is_empty() { self.begin(cursor.as_ref()).await? } else { folded };
        let mut publisher = Publisher::new(
            self.nats.clone(),
            self.subjects.all().to_owned(),
            self.batch_limit.clone(),
            self.metrics.clone(),
        );
        publisher.set_fence(fence);
        let mut position = Position { stack, publisher, contested_since: None };
        if fence > position.stack.last_marker() {
            self.retract_unfinished(&mut position, fence).await?;
        }
        self.check_bottom(&position.stack).await?;
        let top = position.stack.top();
        tracing::info!(
            chain = self.chain,
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
        cursor: Option<&Cursor>,
        last: u64,
    ) -> Result<MarkerStack, ChainInterrupt> {
        let from = match cursor {
            Some(cursor) if self.holds(cursor).await? => ReadFrom::Sequence(cursor.final_sequence),
            Some(cursor) => {
                tracing::warn!(
                    chain = self.chain,
                    cursor = cursor.number,
                    "stream is not the one of the cursor, all its markers are folded"
                );
                ReadFrom::First
            }
            None => ReadFrom::First,
        };
        let mut stack = MarkerStack::default();
        let mut foreign = Vec::new();
        self.read(self.subjects.marker(), from, last, |message| {
            match self.event_of(message) {
                Ok(Event::Block(marker)) => stack.fold(&marker, message.sequence),
                // Its subject says that it is a marker, so that it can be no other event.
                Ok(_) => {}
                Err(reason) => foreign.push(Foreign { message: message.clone(), reason }),
            }
        })
        .await?;
        self.bury(foreign).await;
        Ok(stack)
    }

    /// Whether the stream still has the cursor's final marker at its place.
    async fn holds(&self, cursor: &Cursor) -> Result<bool, ChainInterrupt> {
        let message = self.nats.get_from_leader(STREAM, cursor.final_sequence).await?;
        let Some(message) = message else { return Ok(false) };
        let is_marker = message.subject == self.subjects.marker();
        Ok(is_marker
            && matches!(
                self.event_of(&message),
                Ok(Event::Block(Block { block_hash, removed: false, .. })) if block_hash == cursor.final_hash
            ))
    }

    /// Hands every message of a filter from `from` up to sequence `last` to `take`.
    pub(crate) async fn read(
        &self,
        filter: &str,
        from: ReadFrom,
        last: u64,
        take: impl FnMut(&StreamMessage),
    ) -> Result<(), ChainInterrupt> {
        self.read_all(&[filter], from, last, take).await
    }

    /// As [`Worker::read`], for several filters. The message at `last` has to match one of them.
    pub(crate) async fn read_all(
        &self,
        filters: &[&str],
        from: ReadFrom,
        last: u64,
        mut take: impl FnMut(&StreamMessage),
    ) -> Result<(), ChainInterrupt> {
        let name = format!("evm-{}-{}", self.chain, self.instance);
        let options = ReaderOptions::new(STREAM, name, from).filters(filters.iter().copied());
        let mut reader = StreamReader::open(&self.nats, options).await?;
        loop {
            let batch = timeout(READ_TIMEOUT, reader.next(READ_AT_ONCE))
                .await
                .map_err(|_| ChainInterrupt::replan("reading the stream took too long"))??;
            for message in &batch.messages {
                if message.sequence <= last {
                    take(message);
                }
                if message.sequence >= last {
                    return Ok(());
                }
            }
        }
    }

    /// A chain without markers: new, or its stream was lost.
    async fn begin(&self, cursor: Option<&Cursor>) -> Result<MarkerStack, ChainInterrupt> {
        if let Some(cursor) = cursor {
            tracing::error!(
                chain = self.chain,
                published = cursor.number,
                resumed_after = cursor.final_number,
                "stream EVM holds nothing of this chain although blocks were published: it was deleted or purged; events since the last final block are published again"
            );
            self.queue_unverified(cursor).await;
            return Ok(MarkerStack::begin(cursor.final_number + 1, cursor.final_hash));
        }
        let finalized = self.finalized_now().await?;
        let next = match self.config.start {
            Start::Latest => finalized + 1,
            Start::Number(number) => number,
        };
        let head = self.head_at_least(next.saturating_sub(1)).await?;
        let parent_hash = if next <= head {
            self.fetcher.header(BlockId::Number(next)).await?.parent_hash
        } else {
            self.fetcher.header(BlockId::Number(head)).await?.hash
        };
        tracing::info!(chain = self.chain, next, finalized, "chain begins");
        Ok(MarkerStack::begin(next, parent_hash))
    }

    /// What went with a lost stream may not have been stored by anybody: if an audit knows where
    /// that begins, the history lane publishes it again.
    async fn queue_unverified(&self, cursor: &Cursor) {
        let queued = async {
            let verified = Verified::read(&self.nats, &self.chain).await?;
            let from = verified.map(|verified| verified.number + 1);
            if let Some(from) = from.filter(|from| *from <= cursor.final_number) {
                let gaps = Gaps::open(&self.nats, &self.chain).await?;
                gaps.queue(from, cursor.final_number, GapReason::Audit).await?;
            }
            anyhow::Ok(from)
        };
        match queued.await {
            Ok(Some(from)) => {
                tracing::warn!(
                    chain = self.chain,
                    from,
                    to = cursor.final_number,
                    "blocks above the last verified one are published again on the history lane"
                );
            }
            outcome => {
                let error = outcome.err().map(|error| format!("{error:#}"));
                tracing::error!(
                    chain = self.chain,
                    error,
                    mend = format!("run `crypto-intel audit {}`", self.chain),
                    "no verified block is known: what was not stored before the stream was lost has to be found"
                );
            }
        }
    }

    /// The chain's final block, waiting for a head and for the endpoint's word on it.
    pub(crate) async fn finalized_now(&self) -> Result<u64, ChainInterrupt> {
        let mut tags = self.tags.clone();
        let known = tags.wait_for(Option::is_some).await.map(|tags| *tags);
        let tags = known.ok().flatten().unwrap_or_default();
        let highest = self.head_at_least(0).await?;
        let head = self.fetcher.pool().agreed_head().unwrap_or(highest);
        let by_depth = head.saturating_sub(self.config.finality_depth);
        Ok(tags.finalized.map_or(by_depth, |(number, _)| number))
    }

    /// The head's number, waiting until it is at least this.
    async fn head_at_least(&self, number: u64) -> Result<u64, ChainInterrupt> {
        let mut changes = self.fetcher.pool().changes();
        loop {
            changes.borrow_and_update();
            if let Some(head) = self.fetcher.pool().highest().filter(|head| *head >= number) {
                return Ok(head);
            }
            changes.changed().await.context("wait for a head")?;
        }
    }

    /// The bottom is final: if the endpoint has another block there, it is not the same chain.
    async fn check_bottom(&self, stack: &MarkerStack) -> Result<(), ChainInterrupt> {
        let Some(bottom) = stack.newest_final() else { return Ok(()) };
        match self.fetcher.pool().head() {
            Some(head) if head.number >= bottom.number => {}
            // Behind or not connected: following finds out.
            _ => return Ok(()),
        }
        match self.fetcher.header(BlockId::Number(bottom.number)).await {
            Ok(header) if header.hash != bottom.hash => Err(Refused::BelowFinal {
                chain: self.chain.clone(),
                tip: header.number,
                finalized: stack.finalized(),
            }
            .into()),
            Ok(_) | Err(FetchError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
