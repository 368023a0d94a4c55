//! Blocks that were published without the payments inside their contracts: they come again on the history lane, with
//! their payments.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_service::{Backoff, now_us};

use super::queue::{Gap, GapReason, Gaps, QueuedGap};
use crate::{
    chain::{Worker, prepare::Prepared},
    fetch::traces::UNTRACED,
};

/// Traces that were not to be had for this long are given up: every attempt may cost as much as the attacker likes.
const PATIENCE: Duration = Duration::from_secs(24 * 3_600);

/// How long such a gap rests after an attempt.
pub(crate) const RETRY: Backoff =
    Backoff { first: Duration::from_secs(5), longest: Duration::from_secs(3_600) };

/// How often it is looked whether such a gap is final by now.
pub(crate) const LOOK_FOR_FINAL: Duration = Duration::from_secs(4);

impl Worker {
    /// Queues those of some blocks that went without their traces. Called before they are published: what a crash leaves
    /// behind is published twice rather than never.
    pub(crate) async fn queue_untraced<'a>(
        &self,
        blocks: impl Iterator<Item = (u64, &'a [String])>,
    ) {
        for (number, unverified) in blocks {
            if !is_untraced(unverified) {
                continue;
            }
            self.metrics.untraced();
            if !self.fetcher.may_trace() {
                continue;
            }
            let queued = async {
                let gaps = Gaps::open(&self.nats, &self.chain).await.context("open bucket gaps")?;
                gaps.queue(self.untraced.begin(number), number, GapReason::Traces).await
            };
            if let Err(error) = queued.await {
                // The block itself must not wait for it.
                tracing::error!(
                    chain = self.chain,
                    block = number,
                    error = %format!("{error:#}"),
                    "payments inside the block's contracts will not come by themselves: queue it with crypto-intel backfill"
                );
            }
        }
    }

    /// Whether a gap can be worked on: blocks without traces were queued before they were final.
    pub(crate) async fn is_due(&self, gap: &Gap) -> bool {
        gap.reason != GapReason::Traces
            || self.finalized_now().await.is_ok_and(|finalized| gap.next <= finalized)
    }

    /// Whether a block of the past may be published with or without its traces.
    ///
    /// # Errors
    /// When it is published for them and they are still missing.
    pub(crate) async fn check_traces(
        &self,
        queued: &QueuedGap,
        prepared: &Prepared,
    ) -> anyhow::Result<()> {
        let (number, unverified) = (prepared.block.header.number, &prepared.block.unverified);
        if queued.gap.reason != GapReason::Traces {
            self.queue_untraced(std::iter::once((number, unverified.as_slice()))).await;
            return Ok(());
        }
        if !is_untraced(unverified) {
            return Ok(());
        }
        let patience_us = i64::try_from(PATIENCE.as_micros()).unwrap_or(i64::MAX);
        let is_hopeless = now_us() - queued.gap.queued_at_us > patience_us;
        anyhow::ensure!(is_hopeless, "no endpoint gives the traces of block {number}");
        tracing::warn!(
            chain = self.chain,
            block = number,
            "traces of the block were not to be had for a day, its payments inside contracts are given up"
        );
        Ok(())
    }
}

/// Whether a block lacks its traces.
fn is_untraced(unverified: &[String]) -> bool {
    unverified.iter().any(|missing| missing == UNTRACED)
}
