//! Blocks that were published without the payments inside their contracts: queued to be published again, with these
//! payments, on the history lane.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_chain::backfill::queue::{Gap, GapReason, Gaps};
use crypto_intel_nats::Nats;
use crypto_intel_service::now_us;

use super::untraced_gap::UntracedGap;
use crate::{
    fetch::{Fetcher, traces::UNTRACED},
    metrics::ChainMetrics,
};

/// Traces that were unavailable for this long are given up: a hostile block can make every attempt arbitrarily
/// expensive.
const TRACES_TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

/// Queues blocks without traces.
#[derive(Debug)]
pub(crate) struct UntracedQueue {
    chain: String,
    nats: Nats,
    fetcher: Fetcher,
    metrics: ChainMetrics,
    newest: UntracedGap,
}

impl UntracedQueue {
    pub(crate) fn new(chain: String, nats: Nats, fetcher: Fetcher, metrics: ChainMetrics) -> Self {
        Self { chain, nats, fetcher, metrics, newest: UntracedGap::default() }
    }

    /// Queues those of some blocks that lack their traces. Called before they are published: after a crash some may be
    /// published a second time, but none is forgotten.
    pub(crate) async fn queue<'a>(&self, blocks: impl Iterator<Item = (u64, &'a [String])>) {
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
                gaps.queue(self.newest.begin(number), number, GapReason::Traces).await
            };
            if let Err(error) = queued.await {
                // The block itself must not be delayed by this.
                tracing::error!(
                    chain = self.chain,
                    block = number,
                    error = %format!("{error:#}"),
                    "payments inside the block's contracts are not queued: queue the block with crypto-intel backfill"
                );
            }
        }
    }

    /// Checks that a block of a gap that is filled for its traces may be published.
    ///
    /// # Errors
    /// When they are still missing.
    pub(crate) fn check(
        chain: &str,
        gap: &Gap,
        number: u64,
        unverified: &[String],
    ) -> anyhow::Result<()> {
        if !is_untraced(unverified) {
            return Ok(());
        }
        let timeout_us = i64::try_from(TRACES_TIMEOUT.as_micros()).unwrap_or(i64::MAX);
        let is_given_up = now_us() - gap.queued_at_us > timeout_us;
        anyhow::ensure!(is_given_up, "no endpoint gives the traces of block {number}");
        tracing::warn!(
            chain,
            block = number,
            "traces of the block were unavailable for a day, its payments inside contracts are given up"
        );
        Ok(())
    }
}

/// Whether a block lacks its traces.
fn is_untraced(unverified: &[String]) -> bool {
    unverified.iter().any(|missing| missing == UNTRACED)
}
