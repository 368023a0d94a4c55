//! Reorganisations: link the new branch to what is published, retract what left, publish the new.

use std::time::Duration;

use crypto_intel_service::now_us;
use tokio::time::Instant;

use super::{Position, Worker, follow::Group, interrupt::ChainInterrupt, marker_stack::Retraction};
use crate::{block::Header, fetch::error::BlockId};

const CONFIRM_EVERY: Duration = Duration::from_millis(250);

impl Worker {
    /// Follows the branch of `tip`, whose parent is not the published top. `false` when it was not
    /// taken.
    pub(crate) async fn reorganise(
        &self,
        position: &mut Position,
        tip: Header,
    ) -> Result<bool, ChainInterrupt> {
        let branch = self.link(position, tip).await?;
        let oldest = branch.last().unwrap_or(&tip);
        let retraction = position.stack.retraction(
            &self.chain,
            tip.number,
            oldest,
            self.config.max_reorg_depth,
        )?;
        if !retraction.entries.is_empty() {
            if !self.confirmed(position, &tip).await {
                return Ok(false);
            }
            self.retract(position, &retraction, &tip).await?;
        }
        for header in branch.iter().rev() {
            let prepared = self.prepare(BlockId::Hash(header.hash), now_us(), false).await?;
            let mut group = Group::default();
            self.add(position, &mut group, prepared);
            self.publish(position, group).await?;
        }
        Ok(true)
    }

    /// The branch down to its meeting with what is published, newest first.
    async fn link(&self, position: &Position, tip: Header) -> Result<Vec<Header>, ChainInterrupt> {
        let mut branch = vec![tip];
        let mut oldest = tip;
        // Beyond what is allowed, so that people are told how deep it is.
        let limit = self.config.max_reorg_depth.saturating_mul(2).saturating_add(64);
        while !position.stack.meets(&oldest) {
            let above_final = oldest.number > position.stack.finalized().saturating_add(1);
            let within_limit = branch.len() as u64 <= limit;
            if !above_final || !within_limit {
                break;
            }
            let parent = self.fetcher.header(BlockId::Hash(oldest.parent_hash)).await?;
            if parent.number + 1 != oldest.number {
                return Err(ChainInterrupt::replan(format!(
                    "parent of block {} has number {}",
                    oldest.number, parent.number
                )));
            }
            oldest = parent;
            branch.push(oldest);
        }
        Ok(branch)
    }

    /// Whether the branch is to be taken: another endpoint knows it, there is no other, or nobody
    /// confirmed any branch for too long. `false` when the head moved on: it is judged in its turn.
    async fn confirmed(&self, position: &mut Position, tip: &Header) -> bool {
        let patience = Duration::from_secs(self.config.reorg_confirm_seconds);
        let since = *position.contested_since.get_or_insert_with(|| {
            tracing::info!(
                chain = self.chain,
                tip = tip.number,
                "chain branches, asking another endpoint"
            );
            Instant::now()
        });
        loop {
            match self.fetcher.confirmed_elsewhere(tip.hash).await {
                Some(true) | None => return true,
                Some(false) => {}
            }
            if since.elapsed() >= patience {
                tracing::warn!(
                    chain = self.chain,
                    tip = tip.number,
                    seconds = patience.as_secs(),
                    "no other endpoint confirmed the branch, it is taken all the same"
                );
                return true;
            }
            if self.fetcher.pool().head().is_some_and(|head| head.hash != tip.hash) {
                return false;
            }
            tokio::time::sleep(CONFIRM_EVERY).await;
        }
    }

    /// Retracts blocks, newest first, each by a batch of its own.
    async fn retract(
        &self,
        position: &mut Position,
        retraction: &Retraction,
        tip: &Header,
    ) -> Result<(), ChainInterrupt> {
        let depth = retraction.entries.len() as u64;
        tracing::info!(
            chain = self.chain,
            depth,
            ancestor = retraction.ancestor.number,
            tip = tip.number,
            "reorganisation"
        );
        for entry in &retraction.entries {
            self.retract_block(position, entry).await?;
        }
        self.metrics.reorg(depth);
        Ok(())
    }
}
