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
    pasts::Together,
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
pub(super) const WRITE_INTERVAL: Duration = Duration::from_millis(250);
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
    /// Addresses whose past is looked into at once, at most.
    pub(crate) addresses: usize,
}

/// The history lane of one chain.
#[derive(Debug)]
pub(crate) struct Backfill<S> {
    pub(super) parts: BackfillParts<S>,
    pub(super) subjects: Subjects,
    pub(super) together: Together,
}

impl<S: ChainSource> Backfill<S> {
    pub(crate) fn new(parts: BackfillParts<S>) -> Self {
        let together = Together::new(parts.addresses);
        Self { subjects: Subjects::of_history(&parts.chain), parts, together }
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
            let (ready, others) = {
                let listed = list.borrow();
                metrics.history_remaining(remaining_blocks(listed.values()));
                let ready = schedule.next(&listed);
                let is_past = ready.as_ref().is_some_and(|queued| queued.gap.address.is_some());
                let others = if is_past { schedule.ready_pasts(&listed) } else { Vec::new() };
                (ready, others)
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
            if queued.gap.address.is_some() {
                self.fill_pasts(&gaps, &mut schedule, queued, others).await;
                continue;
            }
            match self.fill(&gaps, &mut queued).await {
                Ok(()) => schedule.goes_on(&queued),
                Err(error) => {
                    self.rests(&queued.gap, 1, &error);
                    schedule.rests(&queued);
                    let trouble = format!("{error:#}");
                    self.keep_trouble(&gaps, &mut schedule, queued, trouble).await;
                }
            }
        }
    }

    /// Says that a gap, and perhaps others with it, cannot be filled now.
    pub(super) fn rests(&self, gap: &Gap, gaps: usize, error: &anyhow::Error) {
        tracing::warn!(
            chain = self.parts.chain,
            from = gap.next,
            to = gap.to,
            gaps,
            error = %format!("{error:#}"),
            "gap cannot be filled now, trying again"
        );
        self.parts.metrics.history_failed();
    }

    /// Shows why a gap rests to the command that waits for it; if it cannot be written, the log says it.
    pub(super) async fn keep_trouble(
        &self,
        gaps: &Gaps,
        schedule: &mut GapSchedule,
        mut queued: QueuedGap,
        trouble: String,
    ) {
        queued.gap.trouble = Some(trouble);
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

/// Blocks still to be published. Pasts of addresses are served together: of them the longest counts.
fn remaining_blocks<'a>(listed: impl Iterator<Item = &'a QueuedGap>) -> u64 {
    let (mut blocks, mut longest_past) = (0, 0);
    for queued in listed {
        match queued.gap.address {
            Some(_) => longest_past = queued.gap.remaining().max(longest_past),
            None => blocks += queued.gap.remaining(),
        }
    }
    blocks + longest_past
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
