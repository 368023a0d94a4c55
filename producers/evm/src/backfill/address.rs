//! The past of one address: blocks whose logs name it, and of them only the events that touch it. Their markers are
//! `partial`, for the rest of such a block may be nowhere.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::Address;
use crypto_intel_service::now_us;
use futures::{StreamExt as _, stream::FuturesOrdered};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    queue::{Gaps, QueuedGap},
    worker::{BATCH_MESSAGES, is_done},
};
use crate::{
    chain::{Worker, prepare::Prepared},
    decode::BlockContext,
    enrich::prices::Prices,
    fetch::{
        error::{BlockId, FetchError},
        log_range::Span,
    },
    publish::{batches::publish_unfenced, encode::Bodies},
};

/// Blocks that are asked about before progress is written, by their logs or one by one.
const SPAN_BY_LOGS: u64 = 10_000;
const SPAN_OF_BLOCKS: u64 = 200;
/// Who queues the past of an address has just begun to watch it: its label is on the way.
const LABEL_PATIENCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Worker {
    /// Publishes what touched an address, from where the gap stands to its end, as far as it is final.
    pub(crate) async fn fill_address(
        &self,
        gaps: &Gaps,
        queued: &mut QueuedGap,
        address: &Address,
    ) -> anyhow::Result<()> {
        self.until_labelled(address).await;
        let finalized = self.finalized_now().await.map_err(anyhow::Error::new)?;
        let last = queued.gap.to.min(finalized);
        let (begun, first) = (Instant::now(), queued.gap.next);
        let mut blocks = 0;
        while queued.gap.next <= last {
            self.pace().await;
            let from = queued.gap.next;
            let width = if queued.gap.every_block { SPAN_OF_BLOCKS } else { SPAN_BY_LOGS };
            let span = Span { from, to: last.min(from.saturating_add(width - 1)) };
            let numbers: Vec<u64> = if queued.gap.every_block {
                (span.from..=span.to).collect()
            } else {
                let named = self.fetcher.blocks_naming(address, span).await;
                named.context("ask for logs that name the address")?.into_iter().collect()
            };
            blocks += self.publish_touching(&numbers, address, finalized).await?;
            queued.gap.next = span.to + 1;
            queued.gap.trouble = None;
            gaps.advance(queued).await?;
            self.metrics.history_remaining(queued.gap.remaining());
        }
        if is_done(&queued.gap, finalized)? {
            tracing::info!(
                chain = self.chain,
                %address,
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
        address: &Address,
        finalized: u64,
    ) -> anyhow::Result<u64> {
        let mut wanted = numbers.iter();
        let mut fetching = FuturesOrdered::new();
        let mut messages = Vec::new();
        let (mut blocks, mut under_way) = (0, 0);
        loop {
            while fetching.len() < self.config.history_concurrency
                && let Some(number) = wanted.next()
            {
                fetching.push_back(self.prepare_touching(*number, *address));
            }
            let Some(one) = fetching.next().await else { break };
            let one = one.context("fetch history")??;
            if one.bodies.len() > 0 {
                messages.append(&mut self.past_messages(&one, finalized, true));
                under_way += 1;
            }
            if messages.len() >= BATCH_MESSAGES.min(self.batch_limit.get()) {
                self.publish_past(std::mem::take(&mut messages), under_way).await?;
                blocks += std::mem::take(&mut under_way);
            }
        }
        self.publish_past(messages, under_way).await?;
        Ok(blocks + under_way)
    }

    async fn publish_past(&self, messages: Vec<OutMessage>, blocks: u64) -> anyhow::Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let count = messages.len() as u64;
        publish_unfenced(&self.nats, &self.history, &self.metrics, &messages)
            .await
            .context("publish history")?;
        self.metrics.history_acked(blocks, count);
        Ok(())
    }

    fn prepare_touching(
        &self,
        number: u64,
        address: Address,
    ) -> AbortOnDropHandle<Result<Prepared, FetchError>> {
        let (fetcher, decoder) = (self.fetcher.clone(), Arc::clone(&self.decoder));
        let watched = self.watched.view(&self.chain);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let block = fetcher.block(BlockId::Number(number)).await?;
            let context =
                BlockContext { watched, ..BlockContext::new(now_us(), Prices::default()) };
            let bodies = Bodies::touching(&decoder, &block, &context, &address);
            Ok(Prepared { block, bodies, context, is_head: false, final_at_fetch: 0 })
        }))
    }

    /// Waits a little until the address is on the list. It may have been taken off again.
    async fn until_labelled(&self, address: &Address) {
        let deadline = Instant::now() + LABEL_PATIENCE;
        while self.watched.view(&self.chain).labels_of(address).is_none()
            && Instant::now() < deadline
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
