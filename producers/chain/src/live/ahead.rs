//! Blocks on their way: fetched ahead, several at once, handed out in order.

use std::{collections::VecDeque, sync::Arc};

use crypto_intel_service::now_us;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tokio_util::task::AbortOnDropHandle;

use super::ahead_budget::{AheadBudget, HeldEvents};
use crate::{
    source::ChainSource, source::bodies::Prepared, source::header::BlockId, source::heads::Head,
    source::unavailable::Unavailable, stack::finality::FinalBlock,
};

/// Waiting blocks share a batch up to about this many messages: one fsync serves them all.
pub(crate) const SHARED_BATCH: usize = 2_000;

/// Maximum number of prepared blocks awaiting publication, however small they are.
const MAX_BLOCKS: usize = 256;

/// A block of the live lane, ready to be published.
#[derive(Debug)]
pub(crate) struct Fetched<D> {
    pub(crate) prepared: Prepared<D>,
    /// It was fetched as the head, so that its latency counts.
    pub(crate) is_head: bool,
    /// The highest block that was final when this one was asked for.
    pub(crate) final_at_fetch: u64,
    _held: HeldEvents,
}

type Outcome<D> = Result<Option<Fetched<D>>, Unavailable>;

/// Fetches blocks of the live lane, each in a task of its own.
#[derive(Debug)]
pub(crate) struct BlockFetcher<S> {
    pub(crate) source: Arc<S>,
    pub(crate) final_block: FinalBlock<S>,
    /// How many blocks are fetched at once, at least.
    pub(crate) concurrency: usize,
    /// Of all chains of the process.
    pub(crate) budget: AheadBudget,
}

impl<S: ChainSource> BlockFetcher<S> {
    /// A block; aborted when it is dropped.
    pub(crate) fn fetch(
        &self,
        id: BlockId,
        observed_at_us: i64,
        is_head: bool,
    ) -> impl Future<Output = Outcome<S::Detail>> + Send + 'static + use<S> {
        let finalized = self.final_block.said().and_then(|said| said.finalized);
        let final_at_fetch = finalized.map_or(0, |block| block.number);
        let (source, budget) = (Arc::clone(&self.source), self.budget.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let prepared = source.block(id, observed_at_us).await?;
            Ok(prepared.map(|prepared| {
                let _held = budget.hold(prepared.bodies.len());
                Fetched { prepared, is_head, final_at_fetch, _held }
            }))
        }));
        joined(task, id)
    }
}

/// What the task of a block ended with.
async fn joined<T>(
    task: AbortOnDropHandle<Result<T, Unavailable>>,
    block: BlockId,
) -> Result<T, Unavailable> {
    match task.await {
        Ok(result) => result,
        Err(error) => {
            if error.is_panic() {
                // Reading answers: decoding contains its own faults.
                tracing::error!(%block, "reading a block failed, report it with its number; it is tried again");
            }
            Err(Unavailable::failed(format!(
                "reading or decoding block {block} failed, report it: {error}"
            )))
        }
    }
}

/// Blocks being fetched or waiting to be published, in chain order.
pub(crate) struct Ahead<D> {
    tasks: FuturesOrdered<BoxFuture<'static, Outcome<D>>>,
    next: Option<u64>,
    failed: VecDeque<Unavailable>,
    /// Events of a block, as of late.
    usual_events: Option<usize>,
}

impl<D> Default for Ahead<D> {
    fn default() -> Self {
        let (tasks, failed) = (FuturesOrdered::new(), VecDeque::new());
        Self { tasks, next: None, failed, usual_events: None }
    }
}

impl<D: Send + 'static> Ahead<D> {
    /// Starts fetching up to `head`, beginning with number `first`: as many blocks as fill two shared
    /// batches, but at least as many as are fetched at once.
    pub(crate) fn fill<S>(&mut self, fetcher: &BlockFetcher<S>, first: u64, head: Head)
    where
        S: ChainSource<Detail = D>,
    {
        let at_once = fetcher.concurrency;
        let wanted = self.usual_events.map_or(at_once, |usual| 2 * SHARED_BATCH / (usual + 1));
        let room = match fetcher.budget.is_spent() {
            // However many chains there are, each goes on.
            true => 1,
            false => wanted.clamp(at_once, MAX_BLOCKS.max(at_once)),
        };
        let mut next = self.next.unwrap_or(first);
        while self.tasks.len() < room && next <= head.block.number {
            let task = if next == head.block.number {
                fetcher.fetch(BlockId::Ref(head.block), head.seen_at_us, true)
            } else {
                fetcher.fetch(BlockId::Number(next), now_us(), false)
            };
            self.tasks.push_back(task.boxed());
            next += 1;
        }
        self.next = Some(next);
    }

    /// The next number's block, waiting for it, if it has one; `None` when nothing is on its way.
    ///
    /// # Errors
    /// When it is unavailable; blocks that were fetched behind it are to be dropped.
    pub(crate) async fn next(&mut self) -> Option<Outcome<D>> {
        if let Some(error) = self.failed.pop_front() {
            return Some(Err(error));
        }
        let outcome = self.tasks.next().await?;
        if let Ok(Some(fetched)) = &outcome {
            self.learn(fetched);
        }
        Some(outcome)
    }

    /// The next block if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Fetched<D>> {
        loop {
            match self.tasks.next().now_or_never()?? {
                Ok(Some(fetched)) => {
                    self.learn(&fetched);
                    return Some(fetched);
                }
                Ok(None) => {}
                Err(error) => {
                    self.failed.push_back(error);
                    return None;
                }
            }
        }
    }

    fn learn(&mut self, fetched: &Fetched<D>) {
        let events = fetched.prepared.bodies.len();
        // A heavy block counts at once, light ones little by little.
        let usual = self.usual_events.map_or(events, |usual| (usual * 7 + events) / 8);
        self.usual_events = Some(usual.max(events));
    }
}
