//! How many messages the server takes in one batch, and why it refuses one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crypto_intel_nats::PublishError;

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

    /// Whether a refusal taught a smaller limit.
    pub(crate) fn learn_from(&self, error: &PublishError, length: usize) -> bool {
        let PublishError::BatchTooLong { limit, .. } = error else { return false };
        let limit = limit.unwrap_or(length / 2).clamp(1, BATCH_LIMIT);
        self.0.fetch_min(limit, Ordering::Relaxed) > limit
    }
}

/// The label in metrics.
pub(crate) const fn reason(error: &PublishError) -> &'static str {
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
