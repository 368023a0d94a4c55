//! Too far behind to catch up in order: the range is left to the history lane, live goes on at once.

use super::{
    Position, Worker,
    interrupt::ChainInterrupt,
    marker_stack::{Entry, Refused},
};
use crate::{
    backfill::queue::{GapReason, Gaps},
    fetch::error::BlockId,
};

impl Worker {
    /// Jumps to the block after the final one when more final blocks than configured are missing.
    /// The range is in the bucket `gaps` before live leaves it. `true` when it jumped.
    pub(crate) async fn jump_if_far(
        &self,
        position: &mut Position,
        head: u64,
    ) -> Result<bool, ChainInterrupt> {
        let limit = self.config.catch_up_blocks;
        let is_far = |position: &Position, number: u64| {
            position.stack.next_number().is_some_and(|next| number.saturating_sub(next) >= limit)
        };
        if limit == 0 || !is_far(position, head) {
            return Ok(false);
        }
        let finalized = self.finalized_now().await?;
        if !is_far(position, finalized) {
            return Ok(false);
        }
        self.retract_strangers(position).await?;
        let Some(next) = position.stack.next_number() else { return Ok(false) };
        let parent = self.fetcher.header(BlockId::Number(finalized)).await?;
        let gaps = Gaps::open(&self.nats, &self.chain).await?;
        gaps.queue(next, finalized, GapReason::CatchUp)
            .await
            .map_err(|error| ChainInterrupt::replan(format!("cannot queue the gap: {error:#}")))?;
        position.stack.jump(finalized + 1, parent.hash);
        self.metrics.jumped();
        tracing::warn!(
            chain = self.chain,
            from = next,
            to = finalized,
            blocks = finalized + 1 - next,
            "too far behind to catch up in order: live goes on after the final block, the history lane fills the gap, rules do not see it"
        );
        Ok(true)
    }

    /// Everything published that far below the final block must be on the chain; what is not is
    /// retracted before it is left.
    async fn retract_strangers(&self, position: &mut Position) -> Result<(), ChainInterrupt> {
        let mut strangers: Vec<Entry> = Vec::new();
        for entry in position.stack.newest_first() {
            let header = self.fetcher.header(BlockId::Number(entry.number)).await?;
            if header.hash == entry.hash {
                break;
            }
            strangers.push(entry);
        }
        let Some(oldest) = strangers.last() else { return Ok(()) };
        let (chain, tip) = (self.chain.clone(), oldest.number);
        let finalized = position.stack.finalized();
        if oldest.number <= finalized {
            return Err(Refused::BelowFinal { chain, tip, finalized }.into());
        }
        let (depth, limit) = (strangers.len() as u64, self.config.max_reorg_depth);
        if depth > limit {
            return Err(Refused::TooDeep { chain, tip, depth, limit }.into());
        }
        for entry in &strangers {
            self.retract_block(position, entry).await?;
        }
        self.metrics.reorg(depth);
        Ok(())
    }
}
