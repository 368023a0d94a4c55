//! One chain's messages to its stream: atomic batches under the fence, one at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crypto_intel_nats::{Batch, Fence, Nats, OutMessage, PublishError};

use crate::{encode::is_under, error::Trouble, metrics::ChainMetrics};

/// What the server takes in one batch, unless it says otherwise; our server.conf sets it.
const BATCH_LIMIT: usize = 20_000;

/// How many messages the server takes in one batch; learnt, and kept while the process runs.
#[derive(Debug, Clone)]
pub(crate) struct BatchLimit(Arc<AtomicUsize>);

impl Default for BatchLimit {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(BATCH_LIMIT)))
    }
}

impl BatchLimit {
    /// How many messages a batch may have.
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn learn(&self, limit: usize) {
        self.0.store(limit.clamp(1, BATCH_LIMIT), Ordering::Relaxed);
    }
}

/// Publishes under the fence `evm.<chain>.>`.
#[derive(Debug)]
pub(crate) struct Publisher {
    nats: Nats,
    filter: String,
    /// Sequence of the last message under the filter; 0 = none.
    last_sequence: u64,
    batch_limit: BatchLimit,
    metrics: ChainMetrics,
}

impl Publisher {
    pub(crate) fn new(
        nats: Nats,
        filter: String,
        batch_limit: BatchLimit,
        metrics: ChainMetrics,
    ) -> Self {
        Self { nats, filter, last_sequence: 0, batch_limit, metrics }
    }

    /// Where the fence stands after the stream was read.
    pub(crate) fn set_fence(&mut self, last_sequence: u64) {
        self.last_sequence = last_sequence;
    }

    /// Stores messages in order, as one atomic batch where they fit in one. Returns the stream
    /// sequence of the last one; the messages of one batch precede it without gap.
    ///
    /// # Errors
    /// [`Trouble::Replan`] when it is unknown or impossible now: read the stream and plan again.
    pub(crate) async fn publish(&mut self, messages: Vec<OutMessage>) -> Result<u64, Trouble> {
        let mut rest = messages;
        while !rest.is_empty() {
            let tail = rest.split_off(self.cut(&rest));
            self.publish_one(rest).await?;
            rest = tail;
        }
        Ok(self.last_sequence)
    }

    /// How many messages the next batch takes: the fence is on the chain's own subjects, so that each
    /// batch begins with a message of its own and not with a copy.
    fn cut(&self, messages: &[OutMessage]) -> usize {
        let limit = self.batch_limit.get();
        if messages.len() <= limit {
            return messages.len();
        }
        (1..=limit).rev().find(|cut| self.is_own(&messages[*cut])).unwrap_or(limit)
    }

    fn is_own(&self, message: &OutMessage) -> bool {
        is_under(&message.subject, &self.filter)
    }

    async fn publish_one(&mut self, messages: Vec<OutMessage>) -> Result<(), Trouble> {
        let fence = Fence { filter: self.filter.clone(), last_sequence: self.last_sequence };
        let length = messages.len();
        let copies_after =
            messages.iter().rev().take_while(|message| !self.is_own(message)).count();
        match self.nats.publish_batch(Batch { messages, fence: Some(fence) }).await {
            Ok(ack) => {
                self.last_sequence = ack.last_sequence - copies_after as u64;
                Ok(())
            }
            Err(error) => {
                self.metrics.batch_refused(reason(&error));
                if let PublishError::BatchTooLong { limit, .. } = error {
                    self.batch_limit.learn(limit.unwrap_or(length / 2));
                    tracing::warn!(
                        filter = self.filter,
                        limit = self.batch_limit.get(),
                        "server takes shorter batches: heavy blocks are published in several"
                    );
                }
                Err(error.into())
            }
        }
    }
}

/// Stores messages in order, as one atomic batch where they fit in one, with no fence: for the history
/// lane, where each block is known by its hash and twice is once.
///
/// # Errors
/// When some of it is not known to be stored: all of it is to be published again.
pub(crate) async fn publish_unfenced(
    nats: &Nats,
    limit: &BatchLimit,
    metrics: &ChainMetrics,
    messages: Vec<OutMessage>,
) -> Result<(), PublishError> {
    let mut rest = messages;
    while !rest.is_empty() {
        let tail = rest.split_off(rest.len().min(limit.get()));
        let length = rest.len();
        match nats.publish_batch(Batch { messages: rest, fence: None }).await {
            Ok(_) => rest = tail,
            Err(error) => {
                metrics.batch_refused(reason(&error));
                if let PublishError::BatchTooLong { limit: known, .. } = error {
                    limit.learn(known.unwrap_or(length / 2));
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

const fn reason(error: &PublishError) -> &'static str {
    match error {
        PublishError::WrongLastSequence { .. } => "fence",
        PublishError::UnknownOutcome { .. } => "unknown_outcome",
        PublishError::Disconnected => "disconnected",
        PublishError::NoStream { .. } => "no_stream",
        PublishError::TooLarge { .. } => "too_large",
        PublishError::BatchTooLong { .. } => "batch_too_long",
        PublishError::Incomplete { .. } => "incomplete",
        PublishError::Full { .. } => "full",
        _ => "refused",
    }
}
