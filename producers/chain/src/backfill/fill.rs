//! Fills queued gaps: final blocks, in large batches, several in flight. No fence and no order towards live:
//! writes are idempotent by block hash.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::Nats;
use crypto_intel_service::Backoff;
use futures::StreamExt as _;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    batch::{Acked, Batch, Fetching, Filling},
    queue::{Gap, Gaps, QueuedGap},
    schedule::GapSchedule,
    throttle::Throttle,
};
use crate::{
    metrics::ChainMetrics,
    source::ChainSource,
    source::bodies::Prepared,
    source::header::Span,
    stack::finality::FinalBlock,
    stream::history_lane::{HistoryLane, publish_unfenced},
    stream::subjects::Subjects,
};

/// Batches that wait for their acknowledgement.
const MAX_IN_FLIGHT: usize = 3;
/// How often progress is written while batches are acknowledged faster.
const WRITE_INTERVAL: Duration = Duration::from_millis(250);
/// The list is looked at this often even without a change.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// And not more often than this.
const MIN_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What the history lane of a chain is made of.
#[derive(Debug)]
pub(crate) struct BackfillParts<S> {
    pub(crate) source: Arc<S>,
    pub(crate) nats: Nats,
    pub(crate) chain: String,
    pub(crate) metrics: ChainMetrics,
    pub(crate) throttle: Throttle<S>,
    pub(crate) final_block: FinalBlock<S>,
    pub(crate) lane: HistoryLane,
    /// Spans fetched at once.
    pub(crate) concurrency: usize,
}

/// The history lane of one chain.
#[derive(Debug)]
pub(crate) struct Backfill<S> {
    pub(super) parts: BackfillParts<S>,
    pub(super) subjects: Subjects,
}

impl<S: ChainSource> Backfill<S> {
    pub(crate) fn new(parts: BackfillParts<S>) -> Self {
        Self { subjects: Subjects::of_history(&parts.chain), parts }
    }

    /// Fills queued gaps for as long as this instance leads.
    pub(crate) async fn run(self: Arc<Self>) -> Infallible {
        let backoff =
            Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30) };
        let mut delays = backoff.delays();
        self.parts.source.until_history_may_begin().await;
        loop {
            let started = Instant::now();
            let Err(error) = self.fill_queued().await;
            if started.elapsed() > backoff.longest {
                delays = backoff.delays();
            }
            let delay = delays.next().unwrap_or(backoff.longest);
            tracing::warn!(chain = self.parts.chain, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "history interrupted, going on from what is acknowledged");
            tokio::time::sleep(delay).await;
        }
    }

    async fn fill_queued(&self) -> anyhow::Result<Infallible> {
        let BackfillParts { nats, chain, metrics, source, .. } = &self.parts;
        let gaps = Gaps::open(nats, chain).await.context("open bucket gaps")?;
        let mut list = gaps.follow().await?;
        let mut schedule = GapSchedule::default();
        loop {
            let ready = {
                let listed = list.borrow();
                let remaining = listed.values().map(|queued| queued.gap.remaining()).sum();
                metrics.history_remaining(remaining);
                schedule.next(&listed)
            };
            let Some(mut queued) = ready else {
                let now = Instant::now();
                let wake = schedule.wakes().unwrap_or(now + LOOK_INTERVAL);
                // A gap has rested, or something changed: either way the list is looked at again.
                let changed =
                    tokio::time::timeout_at(wake.max(now + MIN_LOOK_INTERVAL), list.changed());
                if let Ok(changed) = changed.await {
                    changed?;
                }
                continue;
            };
            if !self.is_due(&queued.gap).await {
                schedule.waits(&queued.key);
                continue;
            }
            source.before_gap(&queued.gap).await?;
            let filled = match queued.gap.address.clone() {
                Some(address) => self.fill_address(&gaps, &mut queued, &address).await,
                None => self.fill(&gaps, &mut queued).await,
            };
            match filled {
                Ok(()) => schedule.goes_on(&queued),
                Err(error) => self.rest(&gaps, &mut schedule, queued, &error).await,
            }
        }
    }

    async fn rest(
        &self,
        gaps: &Gaps,
        schedule: &mut GapSchedule,
        mut queued: QueuedGap,
        error: &anyhow::Error,
    ) {
        let delay = schedule.rests(&queued);
        let text = format!("{error:#}");
        tracing::warn!(
            chain = self.parts.chain,
            from = queued.gap.next,
            to = queued.gap.to,
            error = text,
            delay_ms = delay.as_millis() as u64,
            "gap cannot be filled now, trying again"
        );
        self.parts.metrics.history_failed();
        // Shown to the command that waits for the gap; if it cannot be written, the log says it.
        queued.gap.trouble = Some(text);
        let _ = gaps.advance(&mut queued).await;
        schedule.knows(&queued);
    }

    /// Whether a gap can be worked on.
    async fn is_due(&self, gap: &Gap) -> bool {
        !gap.reason.awaits_finality()
            || self.parts.final_block.number().await.is_ok_and(|finalized| gap.next <= finalized)
    }

    /// Publishes a gap's blocks from where it stands to its end, as far as they are final.
    async fn fill(&self, gaps: &Gaps, queued: &mut QueuedGap) -> anyhow::Result<()> {
        let finalized = self.parts.final_block.number().await.map_err(anyhow::Error::new)?;
        let last = queued.gap.to.min(finalized);
        let (begun, first) = (Instant::now(), queued.gap.next);
        let mut written = Instant::now();
        let mut filling = Filling::new(first, queued.gap.last_hash, self.new_batch());
        self.parts.throttle.wait().await;
        loop {
            self.fetch_more(&mut filling, last);
            let may_take = filling.publishing.len() < MAX_IN_FLIGHT;
            tokio::select! {
                Some(acked) = filling.publishing.next() => {
                    let acked: Acked = acked.context("publish history")??;
                    self.acked(queued, &acked);
                    let is_done = queued.gap.next > last;
                    if is_done || written.elapsed() >= WRITE_INTERVAL {
                        self.write(gaps, queued).await?;
                        written = Instant::now();
                    }
                }
                Some(fetched) = filling.fetching.next(), if may_take => {
                    let (span, blocks) = fetched.context("fetch history")??;
                    for prepared in blocks {
                        self.take(&mut filling, queued, prepared, finalized).await?;
                    }
                    filling.taken = Some(span.to);
                    if filling.fetching.is_empty() && filling.next_fetch > last {
                        self.send(&mut filling)?;
                    }
                }
                else => break,
            }
        }
        if let Some(taken) = filling.taken.filter(|taken| *taken >= queued.gap.next) {
            // The numbers at the end have no block.
            queued.gap.next = taken + 1;
            self.write(gaps, queued).await?;
        }
        // Queued before it was final: the rest is due later.
        let is_awaited = queued.gap.reason.awaits_finality() && queued.gap.next > finalized;
        if is_awaited || !is_done(&queued.gap, finalized)? {
            return Ok(());
        }
        tracing::info!(
            chain = self.parts.chain,
            from = queued.gap.from,
            to = queued.gap.to,
            blocks = queued.gap.to + 1 - first.min(queued.gap.to),
            elapsed_ms = begun.elapsed().as_millis() as u64,
            "gap filled"
        );
        Ok(())
    }

    fn fetch_more(&self, filling: &mut Filling<S::Detail>, last: u64) {
        while filling.fetching.len() < self.parts.concurrency && filling.next_fetch <= last {
            let from = filling.next_fetch;
            let to = from.saturating_add(self.parts.source.span_width() - 1);
            let span = Span { from, to: to.min(last) };
            filling.fetching.push_back(self.fetch(span));
            filling.next_fetch = span.to + 1;
        }
    }

    fn fetch(&self, span: Span) -> Fetching<S::Detail> {
        let source = Arc::clone(&self.parts.source);
        AbortOnDropHandle::new(tokio::spawn(async move { Ok((span, source.blocks(span).await?)) }))
    }

    pub(super) fn new_batch(&self) -> Batch {
        Batch::new(self.parts.nats.client().max_payload())
    }

    fn acked(&self, queued: &mut QueuedGap, acked: &Acked) {
        queued.gap.next = acked.number + 1;
        queued.gap.last_hash = Some(acked.hash);
        queued.gap.trouble = None;
        self.parts.metrics.history_acked(acked.blocks, acked.events);
    }

    pub(super) async fn write(&self, gaps: &Gaps, queued: &mut QueuedGap) -> anyhow::Result<()> {
        gaps.advance(queued).await?;
        self.parts.metrics.history_remaining(queued.gap.remaining());
        Ok(())
    }

    /// Adds a block; sends the batch once it is full.
    async fn take(
        &self,
        filling: &mut Filling<S::Detail>,
        queued: &mut QueuedGap,
        prepared: Prepared<S::Detail>,
        finalized: u64,
    ) -> anyhow::Result<()> {
        self.parts.source.check_past(&queued.gap, &prepared).await?;
        if let Err(error) = filling.link(&prepared.header, prepared.marker.covers_from) {
            // What was taken for its parent is fetched again, too.
            queued.gap.last_hash = None;
            queued.gap.next = queued.gap.next.saturating_sub(1).max(queued.gap.from);
            return Err(error);
        }
        filling.batch.add(&self.subjects, &prepared, finalized, false)?;
        if filling.batch.is_full() {
            self.send(filling)?;
            self.parts.throttle.wait().await;
        }
        Ok(())
    }

    fn send(&self, filling: &mut Filling<S::Detail>) -> anyhow::Result<()> {
        let mut batch = std::mem::replace(&mut filling.batch, self.new_batch());
        batch.close_chunk(&self.subjects)?;
        let Some((number, hash)) = batch.last else { return Ok(()) };
        let (nats, lane) = (self.parts.nats.clone(), self.parts.lane.clone());
        let metrics = self.parts.metrics.clone();
        filling.publishing.push_back(tokio::spawn(async move {
            let Batch { messages, events, blocks, .. } = batch;
            publish_unfenced(&nats, &lane, &metrics, &messages).await?;
            lane.published(events, messages.len());
            Ok(Acked { number, hash, blocks, events: events as u64 })
        }));
        Ok(())
    }
}

/// Whether a gap is filled whole; `false` when it was extended meanwhile, so that it comes again.
///
/// # Errors
/// When the rest is not final yet.
pub(super) fn is_done(gap: &Gap, finalized: u64) -> anyhow::Result<bool> {
    if gap.next > gap.to {
        return Ok(true);
    }
    anyhow::ensure!(
        gap.next <= finalized,
        "block {} is not final yet, block {finalized} is",
        gap.next
    );
    Ok(false)
}
