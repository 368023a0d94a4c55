//! The past of one address: blocks that may name it, and of them only the events that touch it. Their markers are
//! `partial`: the rest of such a block may be stored nowhere.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{StreamExt as _, stream::FuturesOrdered};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    batch::Batch,
    fill::{Backfill, BackfillParts, is_done},
    queue::{Gaps, QueuedGap},
};
use crate::{
    source::ChainSource, source::bodies::Prepared, source::header::Span,
    source::unavailable::Unavailable, stream::history_lane::publish_unfenced,
};

/// Blocks that are asked about before progress is written, by what names the address or one by one.
const SPAN_BY_NAME: u64 = 10_000;
const SPAN_OF_BLOCKS: u64 = 200;
/// The past of an address is queued right after it is watched: its label is on the way.
const LABEL_TIMEOUT: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

impl<S: ChainSource> Backfill<S> {
    /// Publishes what touched an address, from where the gap stands to its end, as far as it is final.
    pub(super) async fn fill_address(
        &self,
        gaps: &Gaps,
        queued: &mut QueuedGap,
        address: &str,
    ) -> anyhow::Result<()> {
        self.until_labelled(address).await;
        let finalized = self.parts.final_block.number().await.map_err(anyhow::Error::new)?;
        let last = queued.gap.to.min(finalized);
        let (begun, first) = (Instant::now(), queued.gap.next);
        let mut blocks = 0;
        while queued.gap.next <= last {
            self.parts.throttle.wait().await;
            let from = queued.gap.next;
            let width = if queued.gap.every_block { SPAN_OF_BLOCKS } else { SPAN_BY_NAME };
            let span = Span { from, to: last.min(from.saturating_add(width - 1)) };
            let numbers = if queued.gap.every_block {
                (span.from..=span.to).collect()
            } else {
                self.parts.source.numbers_naming(address, span).await?
            };
            blocks += self.publish_touching(&numbers, address, finalized).await?;
            queued.gap.next = span.to + 1;
            queued.gap.trouble = None;
            self.write(gaps, queued).await?;
        }
        if is_done(&queued.gap, finalized)? {
            tracing::info!(
                chain = self.parts.chain,
                address,
                from = first,
                to = queued.gap.to,
                blocks,
                elapsed_ms = begun.elapsed().as_millis() as u64,
                "past of an address published"
            );
        }
        Ok(())
    }

    /// Fetches blocks whole and verified, and publishes what touches the address; how many blocks have any.
    async fn publish_touching(
        &self,
        numbers: &[u64],
        address: &str,
        finalized: u64,
    ) -> anyhow::Result<u64> {
        let mut wanted = numbers.iter();
        let mut fetching = FuturesOrdered::new();
        let mut batch = self.new_batch();
        let mut blocks = 0;
        loop {
            while fetching.len() < self.parts.concurrency
                && let Some(number) = wanted.next()
            {
                fetching.push_back(self.fetch_touching(*number, address.to_owned()));
            }
            let Some(fetched) = fetching.next().await else { break };
            let fetched = fetched.context("fetch history")??;
            if let Some(prepared) = fetched.filter(|prepared| !prepared.bodies.is_empty()) {
                batch.add(&self.subjects, &prepared, finalized, true)?;
            }
            if batch.is_full() {
                blocks +=
                    self.publish_past(std::mem::replace(&mut batch, self.new_batch())).await?;
            }
        }
        Ok(blocks + self.publish_past(batch).await?)
    }

    /// Publishes a batch; how many blocks it had.
    async fn publish_past(&self, mut batch: Batch) -> anyhow::Result<u64> {
        batch.close_chunk(&self.subjects)?;
        let Batch { messages, events, blocks, .. } = batch;
        let BackfillParts { nats, lane, metrics, .. } = &self.parts;
        publish_unfenced(nats, lane, metrics, &messages).await.context("publish history")?;
        lane.published(events, messages.len());
        metrics.history_acked(blocks, events as u64);
        Ok(blocks)
    }

    fn fetch_touching(
        &self,
        number: u64,
        address: String,
    ) -> AbortOnDropHandle<Result<Option<Prepared<S::Detail>>, Unavailable>> {
        let source = Arc::clone(&self.parts.source);
        AbortOnDropHandle::new(tokio::spawn(async move {
            source.block_touching(number, &address).await
        }))
    }

    /// Waits a little until the address is on the list. It may have been taken off again.
    async fn until_labelled(&self, address: &str) {
        let deadline = Instant::now() + LABEL_TIMEOUT;
        while !self.parts.source.is_watched(address) && Instant::now() < deadline {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}
