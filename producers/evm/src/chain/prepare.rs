//! Blocks on their way: fetched ahead, several at once, handed out in order.

use std::{collections::VecDeque, sync::Arc};

use crypto_intel_service::now_us;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tokio_util::task::AbortOnDropHandle;

use super::Worker;
use crate::{
    block::BlockData,
    decode::BlockContext,
    endpoint::Head,
    fetch::error::{BlockId, FetchError},
    publish::encode::Bodies,
};

/// A fetched block with its events encoded for the usual case, that it is seen the first time.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) block: BlockData,
    pub(crate) bodies: Bodies,
    pub(crate) context: BlockContext,
    /// It was fetched as the head, so that its latency counts.
    pub(crate) is_head: bool,
    /// The highest block that was final when this one was asked for.
    pub(crate) final_at_fetch: u64,
}

/// Waiting blocks share a batch up to about this many messages: one fsync serves them all.
pub(crate) const SHARED_BATCH: usize = 2_000;

/// Most blocks that wait to be published, however small they are.
const MOST_BLOCKS: usize = 256;

/// Blocks being fetched or waiting to be published, in chain order.
#[derive(Default)]
pub(crate) struct Ahead {
    tasks: FuturesOrdered<BoxFuture<'static, Result<Prepared, FetchError>>>,
    next: Option<u64>,
    failed: VecDeque<FetchError>,
    /// Events of a block, as of late.
    usual_events: Option<usize>,
}

impl Ahead {
    /// Starts fetching up to `head`, beginning with block `first`: as many blocks as fill two shared
    /// batches, but at least as many as are fetched at once.
    pub(crate) fn fill(&mut self, worker: &Worker, first: u64, head: Head) {
        let at_once = worker.config.fetch_concurrency;
        let wanted = self.usual_events.map_or(at_once, |usual| 2 * SHARED_BATCH / (usual + 1));
        let room = wanted.clamp(at_once, MOST_BLOCKS.max(at_once));
        let mut next = self.next.unwrap_or(first);
        while self.tasks.len() < room && next <= head.number {
            let task = if next == head.number {
                worker.prepare(BlockId::Hash(head.hash), head.seen_at_us, true)
            } else {
                worker.prepare(BlockId::Number(next), now_us(), false)
            };
            self.tasks.push_back(task.boxed());
            next += 1;
        }
        self.next = Some(next);
    }

    /// The next block, waiting for it; `None` when none is on its way.
    ///
    /// # Errors
    /// When it cannot be had; what was fetched behind it is to be dropped.
    pub(crate) async fn next(&mut self) -> Option<Result<Prepared, FetchError>> {
        if let Some(error) = self.failed.pop_front() {
            return Some(Err(error));
        }
        let prepared = self.tasks.next().await?;
        self.learn(prepared.as_ref().ok());
        Some(prepared)
    }

    fn learn(&mut self, prepared: Option<&Prepared>) {
        let Some(events) = prepared.map(|prepared| prepared.bodies.len()) else { return };
        // A heavy block counts at once, light ones little by little.
        let usual = self.usual_events.map_or(events, |usual| (usual * 7 + events) / 8);
        self.usual_events = Some(usual.max(events));
    }

    /// The next block if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Prepared> {
        match self.tasks.next().now_or_never()?? {
            Ok(prepared) => {
                self.learn(Some(&prepared));
                Some(prepared)
            }
            Err(error) => {
                self.failed.push_back(error);
                None
            }
        }
    }
}

/// What a task of a block ended with.
async fn joined(
    task: AbortOnDropHandle<Result<Prepared, FetchError>>,
    block: BlockId,
) -> Result<Prepared, FetchError> {
    match task.await {
        Ok(result) => result.map_err(|error| error.of(block)),
        Err(error) => {
            if error.is_panic() {
                // Reading answers, for decoding holds faults of its own.
                tracing::error!(%block, "reading a block failed, report it with its number; it is tried again");
            }
            Err(FetchError::Fault { block, reason: error.to_string() })
        }
    }
}

impl Worker {
    /// Fetches, decodes and encodes a block in a task of its own.
    pub(crate) fn prepare(
        &self,
        id: BlockId,
        observed_at_us: i64,
        is_head: bool,
    ) -> impl Future<Output = Result<Prepared, FetchError>> + Send + 'static + use<> {
        let tags = self.tags.borrow().unwrap_or_default();
        let final_at_fetch = tags.finalized.map_or(0, |(number, _)| number);
        let fetcher = self.fetcher.clone();
        let decoder = Arc::clone(&self.decoder);
        let prices = self.prices.clone();
        let (tokens, watched) = (self.tokens.clone(), self.watched.clone());
        let turns = Arc::clone(&self.fetching);
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let turn = turns.acquire().await;
            let block = fetcher.live_block(id).await?;
            drop(turn);
            let context = BlockContext {
                observed_at_us,
                incarnation: 1,
                tokens: tokens.of_block(&decoder.unlisted_tokens(&block)).await,
                prices: prices.now(),
                watched: watched.view(decoder.chain()),
            };
            let bodies = Bodies::of(&decoder, &block, &context);
            Ok(Prepared { block, bodies, context, is_head, final_at_fetch })
        }));
        joined(task, id)
    }

    /// The same block under another incarnation, or another watch-list.
    pub(crate) fn again(&self, prepared: &mut Prepared, incarnation: u32) {
        prepared.context.incarnation = incarnation;
        prepared.context.watched = self.watched.view(&self.chain);
        prepared.bodies = Bodies::of(&self.decoder, &prepared.block, &prepared.context);
    }
}
