//! How far a chain is final: as it says itself, else by depth below its head.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{interrupt::ChainInterrupt, source::ChainSource, source::heads::Finality};

/// The final block of a chain, as of now.
#[derive(Debug)]
pub(crate) struct FinalBlock<S> {
    source: Arc<S>,
    finality: watch::Receiver<Option<Finality>>,
    /// Numbers below the head from which on a block counts as final, where the chain does not say it.
    depth: u64,
}

impl<S> Clone for FinalBlock<S> {
    fn clone(&self) -> Self {
        let (source, finality) = (Arc::clone(&self.source), self.finality.clone());
        Self { source, finality, depth: self.depth }
    }
}

impl<S: ChainSource> FinalBlock<S> {
    pub(crate) fn new(
        source: Arc<S>,
        finality: watch::Receiver<Option<Finality>>,
        depth: u64,
    ) -> Self {
        Self { source, finality, depth }
    }

    /// What the chain said last; `None` while it has said nothing yet.
    pub(crate) fn said(&self) -> Option<Finality> {
        *self.finality.borrow()
    }

    /// Number of the final block as of a block, where the chain does not say it.
    pub(crate) fn by_depth(&self, number: u64) -> u64 {
        number.saturating_sub(self.depth)
    }

    /// Number of the chain's final block, waiting for a head and for what the chain says of it.
    ///
    /// # Errors
    /// When the endpoints were stopped.
    pub(crate) async fn number(&self) -> Result<u64, ChainInterrupt> {
        let mut finality = self.finality.clone();
        let known = finality.wait_for(Option::is_some).await.map(|finality| *finality);
        let said = known.ok().flatten().unwrap_or_default();
        let highest = self.head_at_least(0).await?;
        let head = self.source.agreed_number().unwrap_or(highest);
        Ok(said.finalized.map_or_else(|| self.by_depth(head), |block| block.number))
    }

    /// The highest head's number, waiting until it is at least this.
    pub(crate) async fn head_at_least(&self, number: u64) -> Result<u64, ChainInterrupt> {
        let mut changes = self.source.head_changes();
        loop {
            changes.borrow_and_update();
            if let Some(head) = self.source.highest_number().filter(|head| *head >= number) {
                return Ok(head);
            }
            changes.changed().await.context("wait for a head")?;
        }
    }
}

/// Asks the chain regularly how far it is safe and final. While its endpoints contradict each other, what was said last
/// stays.
pub(crate) async fn poll<S: ChainSource>(
    source: Arc<S>,
    chain: String,
    sender: watch::Sender<Option<Finality>>,
    interval: Duration,
    stop: CancellationToken,
) {
    let mut changes = source.head_changes();
    let mut is_disputed = false;
    loop {
        match source.finality().await {
            Ok(finality) => {
                let was_disputed = std::mem::replace(&mut is_disputed, finality.is_none());
                if is_disputed && !was_disputed {
                    tracing::warn!(
                        chain,
                        "endpoints call different blocks of one height final: finality stays where it is until they agree"
                    );
                }
                if finality.is_some() {
                    sender.send_replace(finality);
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(interval) => {}
                }
            }
            // Nothing is connected yet, or the connection was lost: wait for the next change.
            Err(error) => {
                tracing::debug!(%error, "finality unknown");
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = changes.changed() => {}
                }
            }
        }
    }
}
