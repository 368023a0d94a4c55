//! The history lane: final blocks of queued ranges, in large batches, several in flight. No fence and
//! no order towards live: consumers know each block by its hash, twice is once.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{B256, Block, Event};
use crypto_intel_service::{Backoff, now_us};
use futures::{StreamExt as _, stream::FuturesOrdered};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{
    queue::{Gap, GapReason, Gaps, QueuedGap},
    untraced,
};
use crate::{
    block::BlockData,
    chain::{Worker, prepare::Prepared},
    decode::BlockContext,
    enrich::prices::Prices,
    fetch::{error::FetchError, log_range::Span},
    publish::{
        batches::publish_unfenced,
        encode::{self, Bodies, Finality},
    },
};

/// A batch is closed at about this many messages: beyond it the rate grows no more.
pub(crate) const BATCH_MESSAGES: usize = 5_000;
/// Or at this many bytes of bodies: what is under way bounds the memory.
const BATCH_BYTES: usize = 4 << 20;
/// Batches that wait for their acknowledgement.
const IN_FLIGHT: usize = 3;
/// Blocks fetched together where their logs come by ranges.
const SPAN: u64 = 10;
/// How often progress is written while batches are acknowledged faster.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// The list is looked at this often even if nobody speaks of a change.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// And not more often than this.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whole blocks that go out together.
#[derive(Debug, Default)]
struct Batch {
    messages: Vec<OutMessage>,
    bytes: usize,
    blocks: u64,
    /// Number and hash of the last one.
    last: Option<(u64, B256)>,
}

/// A batch that is on disk.
#[derive(Debug)]
struct Acked {
    number: u64,
    hash: B256,
    blocks: u64,
    messages: u64,
}

/// Blocks that are fetched together.
type Fetching = AbortOnDropHandle<Result<Vec<Prepared>, FetchError>>;
/// Not aborted when it is dropped: a batch that is begun holds a place at the server until it is finished.
type Publishing = JoinHandle<anyhow::Result<Acked>>;

/// What of one gap is under way.
#[derive(Default)]
struct Filling {
    fetching: FuturesOrdered<Fetching>,
    publishing: FuturesOrdered<Publishing>,
    batch: Batch,
    /// Next block to fetch.
    next_fetch: u64,
    /// Hash on which the next block must be built.
    parent: Option<B256>,
}

/// Which gap comes next: not those that cannot be filled now, and none as it was before we moved it.
#[derive(Debug, Default)]
struct Queue {
    /// When a gap is tried again, and how often it was.
    resting: HashMap<String, (Instant, u32)>,
    /// The revision that a gap has since it was moved here, and whether it was filled whole.
    moved: HashMap<String, (u64, bool)>,
}

impl Queue {
    fn next(&mut self, listed: &BTreeMap<String, QueuedGap>) -> Option<QueuedGap> {
        self.resting.retain(|key, _| listed.contains_key(key));
        self.moved.retain(|key, _| listed.contains_key(key));
        let now = Instant::now();
        let is_ready = |queued: &&QueuedGap| {
            let rested = self.resting.get(&queued.key).is_none_or(|(until, _)| *until <= now);
            let is_new =
                self.moved.get(&queued.key).is_none_or(|(revision, filled)| match filled {
                    true => queued.revision > *revision,
                    false => queued.revision >= *revision,
                });
            rested && is_new
        };
        listed.values().filter(is_ready).min_by_key(|queued| queued.gap.order()).cloned()
    }

    fn wakes(&self) -> Option<Instant> {
        self.resting.values().map(|(until, _)| *until).min()
    }

    fn goes_on(&mut self, queued: &QueuedGap) {
        self.resting.remove(&queued.key);
        self.knows(queued);
    }

    fn knows(&mut self, queued: &QueuedGap) {
        let filled = queued.gap.remaining() == 0;
        self.moved.insert(queued.key.clone(), (queued.revision, filled));
    }

    /// It is not late: its chain is not final there.
    fn waits(&mut self, key: &str) {
        self.resting.insert(key.to_owned(), (Instant::now() + untraced::LOOK_FOR_FINAL, 0));
    }

    fn rests(&mut self, queued: &QueuedGap) -> Duration {
        let retry = match queued.gap.reason {
            GapReason::Traces => untraced::RETRY,
            _ => Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
        };
        let tries = self.resting.get(&queued.key).map_or(0, |(_, tries)| *tries);
        let delay = retry.delays().nth(tries as usize).unwrap_or(retry.longest);
        self.resting.insert(queued.key.clone(), (Instant::now() + delay, tries + 1));
        delay
    }
}

impl Worker {
    /// Fills queued gaps for as long as this instance leads.
    pub(crate) async fn fill_gaps(self: Arc<Self>) -> Infallible {
        let backoff =
            Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(30) };
        let mut delays = backoff.delays();
        self.factories_searched().await;
        loop {
            let started = Instant::now();
            let Err(error) = self.fill_queued().await;
            if started.elapsed() > backoff.longest {
                delays = backoff.delays();
            }
            let delay = delays.next().unwrap_or(backoff.longest);
            tracing::warn!(chain = self.chain, error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "history interrupted, going on from what is acknowledged");
            tokio::time::sleep(delay).await;
        }
    }

    async fn fill_queued(&self) -> anyhow::Result<Infallible> {
        let gaps = Gaps::open(&self.nats, &self.chain).await.context("open bucket gaps")?;
        let mut list = gaps.follow().await?;
        let mut queue = Queue::default();
        loop {
            let ready = {
                let listed = list.borrow();
                let remaining = listed.values().map(|queued| queued.gap.remaining()).sum();
                self.metrics.history_remaining(remaining);
                queue.next(&listed)
            };
            let Some(mut queued) = ready else {
                let now = Instant::now();
                let wake = queue.wakes().unwrap_or(now + LOOK_EVERY).max(now + LOOK_AGAIN);
                // A gap has rested, or something changed: either way the list is looked at again.
                if let Ok(changed) = tokio::time::timeout_at(wake, list.changed()).await {
                    changed?;
                }
                continue;
            };
            if !self.is_due(&queued.gap).await {
                queue.waits(&queued.key);
                continue;
            }
            self.publishes_early(queued.gap.next).await?;
            let filled = match queued.gap.address {
                Some(address) => self.fill_address(&gaps, &mut queued, &address).await,
                None => self.fill(&gaps, &mut queued).await,
            };
            match filled {
                Ok(()) => queue.goes_on(&queued),
                Err(error) => {
                    let delay = queue.rests(&queued);
                    let text = format!("{error:#}");
                    tracing::warn!(
                        chain = self.chain,
                        from = queued.gap.next,
                        to = queued.gap.to,
                        error = text,
                        delay_ms = delay.as_millis() as u64,
                        "gap cannot be filled now, trying again"
                    );
                    self.metrics.history_failed();
                    // Whoever waits for it wants to know; if it cannot be written, the log says it.
                    queued.gap.trouble = Some(text);
                    let _ = gaps.advance(&mut queued).await;
                    queue.knows(&queued);
                }
            }
        }
    }

    /// Publishes a gap's blocks from where it stands to its end, as far as they are final.
    async fn fill(&self, gaps: &Gaps, queued: &mut QueuedGap) -> anyhow::Result<()> {
        let finalized = self.finalized_now().await.map_err(anyhow::Error::new)?;
        let last = queued.gap.to.min(finalized);
        let begun = Instant::now();
        let first = queued.gap.next;
        let mut written = Instant::now();
        let mut filling = Filling {
            next_fetch: queued.gap.next,
            parent: queued.gap.last_hash,
            ..Filling::default()
        };
        self.pace().await;
        loop {
            while filling.fetching.len() < self.config.history_concurrency
                && filling.next_fetch <= last
            {
                let from = filling.next_fetch;
                let to = if self.fetcher.prefers_ranges() { from + SPAN - 1 } else { from };
                let span = Span { from, to: to.min(last) };
                filling.fetching.push_back(self.prepare_past(span));
                filling.next_fetch = span.to + 1;
            }
            let may_take = filling.publishing.len() < IN_FLIGHT;
            tokio::select! {
                Some(acked) = filling.publishing.next() => {
                    let acked: Acked = acked.context("publish history")??;
                    queued.gap.next = acked.number + 1;
                    queued.gap.last_hash = Some(acked.hash);
                    queued.gap.trouble = None;
                    self.metrics.history_acked(acked.blocks, acked.messages);
                    let is_done = queued.gap.next > last;
                    if is_done || written.elapsed() >= WRITE_EVERY {
                        gaps.advance(queued).await?;
                        self.metrics.history_remaining(queued.gap.remaining());
                        written = Instant::now();
                    }
                }
                Some(prepared) = filling.fetching.next(), if may_take => {
                    for prepared in prepared.context("fetch history")?? {
                        self.check_traces(queued, &prepared).await?;
                        if let Err(error) = filling.link(&prepared) {
                            // What was taken for its parent is fetched again, too.
                            queued.gap.last_hash = None;
                            queued.gap.next = queued.gap.next.saturating_sub(1).max(queued.gap.from);
                            return Err(error);
                        }
                        self.take(&mut filling, prepared, finalized);
                        if filling.batch.is_full(self.batch_limit.get()) {
                            self.send(&mut filling);
                            self.pace().await;
                        }
                    }
                    if filling.fetching.is_empty() && filling.next_fetch > last {
                        self.send(&mut filling);
                    }
                }
                else => break,
            }
        }
        // Queued before it was final: the rest is due later.
        let is_awaited = queued.gap.reason == GapReason::Traces && queued.gap.next > finalized;
        if is_awaited || !is_done(&queued.gap, finalized)? {
            return Ok(());
        }
        tracing::info!(
            chain = self.chain,
            from = queued.gap.from,
            to = queued.gap.to,
            blocks = queued.gap.to + 1 - first.min(queued.gap.to),
            elapsed_ms = begun.elapsed().as_millis() as u64,
            "gap filled"
        );
        Ok(())
    }

    /// Adds a block; sends what was there before, if both together are too large for a batch.
    fn take(&self, filling: &mut Filling, prepared: Prepared, finalized: u64) {
        let mut messages = self.past_messages(&prepared, finalized, false);
        let header = prepared.block.header;
        let together = filling.batch.messages.len() + messages.len();
        if filling.batch.blocks > 0 && together > self.batch_limit.get() {
            self.send(filling);
        }
        let batch = &mut filling.batch;
        batch.bytes += messages.iter().map(|message| message.payload.len()).sum::<usize>();
        batch.messages.append(&mut messages);
        batch.blocks += 1;
        batch.last = Some((header.number, header.hash));
    }

    /// The messages of a block of the past, its marker last.
    pub(crate) fn past_messages(
        &self,
        prepared: &Prepared,
        finalized: u64,
        partial: bool,
    ) -> Vec<OutMessage> {
        let Prepared { block, bodies, context, .. } = prepared;
        let mut messages = Vec::new();
        self.past_subjects.add_bodies(bodies, &mut messages);
        let finality = Finality { finalized, finalized_hash: None, safe: None };
        let counts = (bodies.len(), messages.len());
        let marker = encode::marker(&self.decoder, block, context, finality, counts);
        messages.push(self.past_subjects.message(&Event::Block(Block { partial, ..marker })));
        messages
    }

    fn send(&self, filling: &mut Filling) {
        let batch = std::mem::take(&mut filling.batch);
        let Some((number, hash)) = batch.last else { return };
        let (nats, lane) = (self.nats.clone(), self.history.clone());
        let metrics = self.metrics.clone();
        filling.publishing.push_back(tokio::spawn(async move {
            let acked =
                Acked { number, hash, blocks: batch.blocks, messages: batch.messages.len() as u64 };
            publish_unfenced(&nats, &lane, &metrics, &batch.messages).await?;
            Ok(acked)
        }));
    }

    /// Fetches, decodes and encodes blocks of the past: prices of today say nothing about them.
    fn prepare_past(&self, span: Span) -> Fetching {
        let fetcher = self.fetcher.clone();
        let decoder = Arc::clone(&self.decoder);
        let watched = self.watched.view(&self.chain);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let blocks = fetcher.blocks(span).await?;
            let prepare = |mut block: BlockData| {
                let prices = Prices::default();
                let watched = watched.clone();
                let context = BlockContext { watched, ..BlockContext::new(now_us(), prices) };
                let bodies = Bodies::of(&decoder, &block, &context);
                // What waits to be sent bounds the memory: the logs are in the bodies now.
                (block.logs, block.data) = (Vec::new(), Vec::new());
                Prepared { block, bodies, context, is_head: false, final_at_fetch: 0 }
            };
            Ok(blocks.into_iter().map(prepare).collect())
        }))
    }
}

/// Whether a gap is filled whole; `false` when somebody extended it meanwhile, so that it comes again.
///
/// # Errors
/// When the rest is not final yet.
pub(crate) fn is_done(gap: &Gap, finalized: u64) -> anyhow::Result<bool> {
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

impl Filling {
    fn link(&mut self, prepared: &Prepared) -> anyhow::Result<()> {
        let header = &prepared.block.header;
        if let Some(parent) = self.parent.filter(|parent| *parent != header.parent_hash) {
            anyhow::bail!(
                "block {} is built on {:#x}, but the block before it is {parent:#x}",
                header.number,
                header.parent_hash
            );
        }
        self.parent = Some(header.hash);
        Ok(())
    }
}

impl Batch {
    fn is_full(&self, limit: usize) -> bool {
        self.messages.len() >= BATCH_MESSAGES.min(limit) || self.bytes >= BATCH_BYTES
    }
}
