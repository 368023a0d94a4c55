//! Whether a branch is taken: another endpoint has to know it, where there is one.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    source::ChainSource, source::header::Header, stack::position::Position, stream::lane::Lane,
};

const CONFIRM_INTERVAL: Duration = Duration::from_millis(250);

/// Confirms branches before anything is retracted for them.
#[derive(Debug)]
pub(crate) struct BranchConfirmer<S> {
    pub(crate) lane: Arc<Lane>,
    pub(crate) source: Arc<S>,
    /// How long other endpoints may contradict a branch.
    pub(crate) timeout: Duration,
}

impl<S: ChainSource> BranchConfirmer<S> {
    /// Whether the branch is to be taken: another endpoint knows it, there is no other, or none
    /// confirmed any branch for too long. `false` when the head moved on: it is judged in its turn.
    pub(crate) async fn confirmed(&self, position: &mut Position, tip: &Header) -> bool {
        let chain = &self.lane.chain;
        let since = *position.contested_since.get_or_insert_with(|| {
            tracing::info!(chain, tip = tip.number, "chain branches, asking another endpoint");
            Instant::now()
        });
        loop {
            match self.source.confirmed_elsewhere(tip.block()).await {
                Some(true) | None => return true,
                Some(false) => {}
            }
            if since.elapsed() >= self.timeout {
                tracing::warn!(
                    chain,
                    tip = tip.number,
                    seconds = self.timeout.as_secs(),
                    "no other endpoint confirmed the branch, it is taken all the same"
                );
                return true;
            }
            if self.source.head().is_some_and(|head| head.block.hash != tip.hash) {
                return false;
            }
            tokio::time::sleep(CONFIRM_INTERVAL).await;
        }
    }
}
