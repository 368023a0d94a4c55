//! The past of addresses: blocks in which they may have been active, and of them only the events that touch them. Their
//! markers are `partial`: the rest of such a block may be stored nowhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures::{FutureExt as _, StreamExt as _, stream::FuturesOrdered};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{
    batch::Batch,
    fill::{Backfill, BackfillParts, WRITE_INTERVAL, is_done},
    past_records::PastRecords,
    queue::{Gaps, QueuedGap},
    schedule::GapSchedule,
    sweep::Sweep,
};
use crate::{
    source::ChainSource,
    source::past::{Activity, Doubt, Look, Touching},
    source::unavailable::Unavailable,
    stream::history_lane::publish_unfenced,
};

/// Blocks that are asked about at once, by what names the addresses or one by one.
const SPAN_BY_NAME: u64 = 10_000;
const SPAN_OF_BLOCKS: u64 = 200;
/// A pass ends after this time and goes on where it stands: others join it, and what is more urgent comes first.
const PASS_TIME: Duration = Duration::from_secs(10);
/// Progress of several pasts that is written at once.
const WRITES_AT_ONCE: usize = 16;
/// The past of an address is queued right after it is watched: its label is on the way.
const LABEL_TIMEOUT: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// What the blocks of a span told beside their events.
#[derive(Debug, Default)]
struct Found {
    doubts: Vec<Doubt>,
    /// Payments may be missing in any of them.
    lacks_payments: bool,
}

/// How many addresses one pass serves: fewer after one failed, for an endpoint may refuse that many.
#[derive(Debug)]
pub(crate) struct Together {
    most: usize,
    now: AtomicUsize,
}

impl Together {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), now: AtomicUsize::new(most.max(1)) }
    }

    fn get(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn ended(&self, is_good: bool, served: usize) {
        let next = if is_good { self.get() * 2 } else { served / 2 };
        self.now.store(next.clamp(1, self.most), Ordering::Relaxed);
    }
}

impl<S: ChainSource> Backfill<S> {
    /// Publishes what touched the address of a gap, and those of all others that the same blocks serve.
    pub(super) async fn fill_pasts(
        &self,
        gaps: &Gaps,
        schedule: &mut GapSchedule,
        leader: QueuedGap,
        others: Vec<QueuedGap>,
    ) {
        let mut sweep = Sweep::new(leader, others, self.together.get());
        let begun = Instant::now();
        let passed = self.pass(gaps, &mut sweep).await;
        let served = sweep.members().len();
        self.together.ended(passed.is_ok(), served);
        if let Err(error) = &passed {
            self.rests(&sweep.members()[0].gap, served, error);
        }
        let mut done = 0;
        for queued in sweep.into_members() {
            let ended = match &passed {
                // Those that the pass had not come to are as they were.
                Ok(finalized) if queued.gap.next <= queued.gap.to.min(*finalized) => Ok(false),
                Ok(finalized) => {
                    is_done(&queued.gap, *finalized).map_err(|error| error.to_string())
                }
                Err(error) => Err(format!("{error:#}")),
            };
            match ended {
                Ok(is_done) => {
                    done += usize::from(is_done);
                    schedule.goes_on(&queued);
                }
                Err(trouble) => {
                    schedule.rests(&queued);
                    self.keep_trouble(gaps, schedule, queued, trouble).await;
                }
            }
        }
        if done > 0 {
            let elapsed_ms = begun.elapsed().as_millis() as u64;
            tracing::info!(
                chain = self.parts.chain,
                addresses = done,
                elapsed_ms,
                "pasts of addresses published"
            );
        }
    }

    /// One pass, as far as blocks are final and for a limited time; up to which block they are.
    async fn pass(&self, gaps: &Gaps, sweep: &mut Sweep) -> anyhow::Result<u64> {
        let source = &self.parts.source;
        self.until_labelled(sweep).await;
        let finalized = self.parts.final_block.number().await.map_err(anyhow::Error::new)?;
        let (begun, mut written) = (Instant::now(), Instant::now());
        let width = if sweep.every_block { SPAN_OF_BLOCKS } else { SPAN_BY_NAME };
        let scope = source.scope();
        let mut records = PastRecords::open(&self.parts.nats, &self.parts.chain, scope).await?;
        let last = sweep.last().min(finalized);
        while let Some(span) = sweep.span(width, finalized) {
            self.parts.throttle.wait().await;
            let addresses: Arc<[String]> = sweep.addresses_in(span).into();
            records.load(&addresses).await?;
            let look = Look { span, last, every_block: sweep.every_block };
            let Activity { numbers, covers } = source.activity(&addresses, look).await?;
            let found = self.publish_touching(&numbers, &addresses, finalized).await?;
            for (address, mut covers) in addresses.iter().zip(covers) {
                if found.lacks_payments {
                    covers.payments.clear();
                }
                records.add(address, span, covers, &found.doubts);
            }
            sweep.passed(span);
            let is_over = begun.elapsed() >= PASS_TIME;
            if is_over || written.elapsed() >= WRITE_INTERVAL {
                self.write_all(gaps, sweep, &mut records).await?;
                written = Instant::now();
            }
            if is_over {
                return Ok(finalized);
            }
        }
        self.write_all(gaps, sweep, &mut records).await?;
        Ok(finalized)
    }

    /// Writes what is complete, and then how far each past is: what is cut off between the two is published again.
    async fn write_all(
        &self,
        gaps: &Gaps,
        sweep: &mut Sweep,
        records: &mut PastRecords,
    ) -> anyhow::Result<()> {
        records.write().await;
        let remaining = sweep.members().iter().map(|member| member.gap.remaining()).max();
        let writes: Vec<_> =
            sweep.take_moved().map(|member| gaps.advance(member).boxed()).collect();
        let mut writes = futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE);
        while let Some(written) = writes.next().await {
            written?;
        }
        self.parts.metrics.history_remaining(remaining.unwrap_or_default());
        Ok(())
    }

    /// Fetches blocks whole and verified, each once, and publishes what touches any of the addresses.
    async fn publish_touching(
        &self,
        numbers: &[u64],
        addresses: &Arc<[String]>,
        finalized: u64,
    ) -> anyhow::Result<Found> {
        let mut wanted = numbers.iter();
        let mut found = Found::default();
        let mut fetching = FuturesOrdered::new();
        let mut batch = self.new_batch();
        loop {
            while fetching.len() < self.parts.concurrency
                && let Some(number) = wanted.next()
            {
                fetching.push_back(self.fetch_touching(*number, Arc::clone(addresses)));
            }
            let Some(fetched) = fetching.next().await else { break };
            let Some(touching) = fetched.context("fetch history")?? else { continue };
            found.lacks_payments |= touching.lacks_payments;
            found.doubts.extend(touching.doubts);
            if !touching.prepared.bodies.is_empty() {
                batch.add(&self.subjects, &touching.prepared, finalized, true)?;
            }
            if batch.is_full() {
                self.publish_past(std::mem::replace(&mut batch, self.new_batch())).await?;
            }
        }
        self.publish_past(batch).await?;
        Ok(found)
    }

    async fn publish_past(&self, mut batch: Batch) -> anyhow::Result<()> {
        batch.close_chunk(&self.subjects)?;
        let Batch { messages, events, blocks, .. } = batch;
        let BackfillParts { nats, lane, metrics, .. } = &self.parts;
        publish_unfenced(nats, lane, metrics, &messages).await.context("publish history")?;
        lane.published(events, messages.len());
        metrics.history_acked(blocks, events as u64);
        Ok(())
    }

    fn fetch_touching(
        &self,
        number: u64,
        addresses: Arc<[String]>,
    ) -> AbortOnDropHandle<Result<Option<Touching<S::Detail>>, Unavailable>> {
        let source = Arc::clone(&self.parts.source);
        AbortOnDropHandle::new(tokio::spawn(async move {
            source.block_touching(number, &addresses).await
        }))
    }

    /// Waits a little until the addresses are on the list. They may have been taken off again.
    async fn until_labelled(&self, sweep: &Sweep) {
        let deadline = Instant::now() + LABEL_TIMEOUT;
        let begins = sweep.members().iter().filter(|member| member.gap.next == member.gap.from);
        for address in begins.filter_map(|member| member.gap.address.as_deref()) {
            while !self.parts.source.is_watched(address) && Instant::now() < deadline {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        }
    }
}
