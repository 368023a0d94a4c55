//! A chain that grows by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::{Chain, Synthetic};

/// Appends generated blocks with the current time to a chain, at a fixed interval, until dropped.
#[derive(Debug)]
pub struct Player {
    blocks: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Player {
    /// Starts at once with the first block. The chain must end where the generator begins.
    #[must_use]
    pub fn start(chain: Chain, mut generator: Synthetic, interval: Duration) -> Self {
        let blocks = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&blocks);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            // A chain does not catch up after a pause of its machine.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let block = generator.next_block_at(now.as_secs());
                if let Err(error) = chain.push_block(block) {
                    tracing::warn!(error = format!("{error:#}"), "generated chain ended");
                    return;
                }
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { blocks, _task: AbortOnDropHandle::new(task) }
    }

    /// How many blocks were appended.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }
}
