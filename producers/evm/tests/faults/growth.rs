//! A chain that grows and reorganises by itself.

use std::time::Duration;

use crypto_intel_sandbox::{Chain, node::Synthetic};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How a chain grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) interval: Duration,
    /// After every so many blocks the newest 1, 2 or 3 are replaced; 0: never.
    pub(crate) reorg_every: usize,
}

impl Pace {
    /// Ten blocks a second.
    pub(crate) const STEADY: Self = Self { interval: Duration::from_millis(100), reorg_every: 0 };
    /// Ten blocks a second, and a reorganisation every two seconds.
    pub(crate) const RESTLESS: Self = Self { reorg_every: 20, ..Self::STEADY };
}

/// A task that appends blocks until it is stopped.
#[derive(Debug)]
pub(crate) struct Growth {
    stop: CancellationToken,
    task: JoinHandle<Synthetic>,
}

impl Growth {
    pub(crate) fn start(chain: &Chain, mut blocks: Synthetic, pace: Pace) -> Self {
        let stop = CancellationToken::new();
        let (chain, stopped) = (chain.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(pace.interval);
            for round in 1_usize.. {
                tokio::select! {
                    () = stopped.cancelled() => break,
                    _ = ticks.tick() => {}
                }
                if pace.reorg_every > 0 && round.is_multiple_of(pace.reorg_every) {
                    let depth = 1 + (round / pace.reorg_every) % 3;
                    chain.reorg(depth, blocks.fork(depth, depth + 1)).expect("reorganise");
                } else {
                    chain.push_block(blocks.next_block()).expect("append block");
                }
            }
            blocks
        });
        Self { stop, task }
    }

    /// Stops it; the generator continues where the chain ends.
    pub(crate) async fn stop(self) -> Synthetic {
        self.stop.cancel();
        self.task.await.expect("chain grew to its end")
    }
}
