//! What is on the chain's subjects and none of the producer's own messages: written by somebody else, or by a newer
//! version. It is kept as a dead letter and passed over; the chain goes on.

use crypto_intel_nats::{StreamMessage, dead_letter};
use crypto_intel_schemas::{Event, subjects};

use super::{Worker, stream::STREAM};

/// The name under which dead letters are kept.
const CONSUMER: &str = "evm";

/// A message that is passed over.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) message: StreamMessage,
    pub(crate) reason: String,
}

impl Worker {
    /// The event of a message on the chain's subjects, or on those of its copies.
    ///
    /// # Errors
    /// Why it is none that this producer writes there.
    pub(crate) fn event_of(&self, message: &StreamMessage) -> Result<Event, String> {
        let event = Event::decode(&message.payload).map_err(|error| {
            let source = std::error::Error::source(&error);
            source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        })?;
        let Some(fields) = event.block_fields() else {
            return Err(format!("{} is no event of a chain", event.kind()));
        };
        let fits = if self.subjects.is_own(&message.subject) {
            subjects::of(&event) == message.subject
        } else {
            fields.chain == self.chain
        };
        if !fits {
            let (kind, chain) = (event.kind(), fields.chain);
            return Err(format!("{kind} of chain {chain} does not belong on this subject"));
        }
        Ok(event)
    }

    /// Keeps messages as dead letters, each once while the process runs.
    pub(crate) async fn bury(&self, foreign: Vec<Foreign>) {
        for Foreign { message, reason } in foreign {
            let position = message.position();
            if self.buried.lock().await.contains(&position) {
                continue;
            }
            let kept = dead_letter(&self.nats, CONSUMER, STREAM, &message, &reason).await;
            if let Err(error) = kept {
                // Nothing is lost: it stays in the stream, and the next look tries again.
                tracing::warn!(
                    chain = self.chain,
                    sequence = message.sequence,
                    subject = message.subject,
                    reason,
                    %error,
                    "a foreign message on the chain's subjects is passed over, but could not be kept as a dead letter"
                );
                continue;
            }
            self.buried.lock().await.insert(position);
            self.metrics.dead_lettered();
            tracing::warn!(
                chain = self.chain,
                sequence = message.sequence,
                subject = message.subject,
                reason,
                "a foreign message on the chain's subjects is set aside as a dead letter, the chain goes on"
            );
        }
    }
}
