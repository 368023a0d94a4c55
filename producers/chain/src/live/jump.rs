//! Too far behind to catch up in order: the range is left to the history lane, live goes on at once.

use std::sync::Arc;

use crate::{
    backfill::queue::{GapReason, Gaps},
    interrupt::ChainInterrupt,
    live::resume::last_at_or_below,
    live::retract::Retractor,
    source::ChainSource,
    source::header::BlockId,
    stack::limits::Limits,
    stack::marker_stack::{Entry, MarkerStack},
    stack::position::Position,
    stream::lane::Lane,
};

/// Jumps over what is missing.
#[derive(Debug)]
pub(crate) struct Jumper<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) source: Arc<S>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) retractor: Arc<Retractor<S>>,
}

impl<S: ChainSource> Jumper<S> {
    /// Jumps to the block after the final one. The range is in the bucket `gaps` before live leaves it.
    pub(crate) async fn jump(
        &self,
        position: &mut Position,
        finalized: u64,
    ) -> Result<(), ChainInterrupt> {
        // Everything published that far below the final block must be on the chain.
        let strangers = self.strangers(&position.stack).await?;
        if let Some(oldest) = strangers.last() {
            position.stack.check_retraction(&self.limits, oldest.number, &strangers)?;
            self.retractor.retract(position, &strangers).await?;
        }
        let Some(from) = position.stack.first_missing() else {
            return Err(ChainInterrupt::replan("nothing is known to build on"));
        };
        let to = last_at_or_below(self.source.as_ref(), finalized).await?;
        if to.number < from {
            return Err(ChainInterrupt::replan("no final block is above the published ones"));
        }
        let Lane { chain, nats, metrics, .. } = self.lane.as_ref();
        let gaps = Gaps::open(nats, chain).await?;
        gaps.queue(from, to.number, GapReason::CatchUp)
            .await
            .map_err(|error| ChainInterrupt::replan(format!("cannot queue the gap: {error:#}")))?;
        position.stack.jump(to.number + 1, to.hash);
        metrics.jumped();
        tracing::warn!(
            chain,
            from,
            to = to.number,
            blocks = to.number + 1 - from,
            "too far behind to catch up in order: live goes on after the final block, the history lane fills the gap, rules do not see it"
        );
        Ok(())
    }

    /// The newest published blocks that the chain does not have, newest first.
    async fn strangers(&self, stack: &MarkerStack) -> Result<Vec<Entry>, ChainInterrupt> {
        let mut strangers = Vec::new();
        for entry in stack.newest_first() {
            let header = self.source.header(BlockId::Number(entry.number)).await?;
            if header.is_some_and(|header| header.hash == entry.hash) {
                break;
            }
            strangers.push(entry);
        }
        Ok(strangers)
    }
}
