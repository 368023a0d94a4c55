use std::{sync::Arc, time::Duration};

use crypto_intel_nats::{Nats, StreamMessage, dead_letter};
use crypto_intel_service::{Backoff, Retryable};

use crate::{intake::batch::Poison, metrics::Metrics, status::Status};

/// Name of this consumer in dead-letter subjects.
const CONSUMER: &str = "persist";
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);

/// Writes those messages of a stream that can never be stored to the dead-letter stream.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    pub(crate) stream: String,
    pub(crate) nats: Nats,
    pub(crate) metrics: Metrics,
    pub(crate) status: Arc<Status>,
}

impl DeadLetters {
    /// Writes the messages that `poison` names, and retries until each is written. Call it before the position moves past
    /// them; writing a message again changes nothing. Cancel-safe.
    pub(super) async fn write(&self, messages: &[StreamMessage], poison: &[Poison]) {
        for Poison { message, error } in poison {
            let message = &messages[*message as usize];
            tracing::error!(
                stream = self.stream,
                subject = message.subject,
                sequence = message.sequence,
                error,
                hint = "see `crypto-intel dlq show`",
                "message can never be stored and goes to the dead letters"
            );
            self.write_one(message, error).await;
            self.metrics.dead_lettered.with_label_values(&[&self.stream]).inc();
        }
    }

    async fn write_one(&self, message: &StreamMessage, error: &str) {
        let mut delays = Backoff::default().delays();
        while let Err(failure) =
            dead_letter(&self.nats, CONSUMER, &self.stream, message, error).await
        {
            let delay = failure.retry_after().or_else(|| delays.next()).unwrap_or(MAX_RETRY_DELAY);
            let delay_ms = delay.as_millis() as u64;
            tracing::warn!(stream = self.stream, error = %failure, delay_ms, "cannot write a dead letter, trying again");
            self.status.failed(format!("cannot write a dead letter: {failure}"));
            tokio::time::sleep(delay).await;
        }
    }
}
