//! The chain's part of its stream, as this producer reads it back.
//!
//! What is on the chain's subjects and none of the producer's own messages was written by another program, or by a newer
//! version. It is kept as a dead letter and passed over; the chain goes on.

use std::{collections::HashSet, sync::Arc, time::Duration};

use crypto_intel_nats::{
    Position as StreamPosition, ReaderOptions, Start as ReadFrom, StreamMessage, StreamReader,
    dead_letter,
};
use crypto_intel_schemas::{Event, subjects};
use tokio::{sync::Mutex, time::timeout};

use crate::{interrupt::ChainInterrupt, stream::lane::Lane};

const READ_BATCH: usize = 5_000;
/// What is known to be in the stream comes within this time, or the server has trouble.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A message that is passed over.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) message: StreamMessage,
    pub(crate) reason: String,
}

/// Reads what the stream holds of a chain.
#[derive(Debug)]
pub(crate) struct ChainStream {
    lane: Arc<Lane>,
    /// Foreign messages that were set aside already.
    set_aside: Mutex<HashSet<StreamPosition>>,
}

impl ChainStream {
    pub(crate) fn new(lane: Arc<Lane>) -> Self {
        Self { lane, set_aside: Mutex::default() }
    }

    pub(crate) fn stream_name(&self) -> &'static str {
        self.lane.family.stream
    }

    /// Sequence of the newest message of a filter; 0 = none. The stream's leader is asked: replicas may be behind.
    pub(crate) async fn last_sequence(&self, filter: &str) -> Result<u64, ChainInterrupt> {
        let last = self.lane.nats.last_from_leader(self.stream_name(), filter).await?;
        Ok(last.map_or(0, |message| message.sequence))
    }

    /// The message of a sequence, of the stream's leader.
    pub(crate) async fn message(
        &self,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, ChainInterrupt> {
        Ok(self.lane.nats.get_from_leader(self.stream_name(), sequence).await?)
    }

    /// Sequence of the stream's first message.
    pub(crate) async fn first_sequence(&self) -> Result<u64, ChainInterrupt> {
        Ok(self.lane.nats.stream_state(self.stream_name()).await?.first_sequence)
    }

    /// Hands every message of some filters from `from` up to sequence `last` to `take`. The message at `last` has to
    /// match one of them.
    pub(crate) async fn read(
        &self,
        filters: &[&str],
        from: ReadFrom,
        last: u64,
        mut take: impl FnMut(&StreamMessage),
    ) -> Result<(), ChainInterrupt> {
        let Lane { family, chain, instance, nats, .. } = self.lane.as_ref();
        let name = format!("{}-{chain}-{instance}", family.name);
        let options =
            ReaderOptions::new(self.stream_name(), name, from).filters(filters.iter().copied());
        let mut reader = StreamReader::open(nats, options).await?;
        loop {
            let batch = timeout(READ_TIMEOUT, reader.next(READ_BATCH))
                .await
                .map_err(|_| ChainInterrupt::replan("reading the stream took too long"))??;
            for message in &batch.messages {
                if message.sequence <= last {
                    take(message);
                }
                if message.sequence >= last {
                    return Ok(());
                }
            }
        }
    }

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
        let fits = if self.lane.subjects.is_own(&message.subject) {
            subjects::of(&event) == message.subject
        } else {
            fields.chain == self.lane.chain
        };
        if !fits {
            let (kind, chain) = (event.kind(), fields.chain);
            return Err(format!("{kind} of chain {chain} does not belong on this subject"));
        }
        Ok(event)
    }

    /// Keeps messages as dead letters, each once while the process runs.
    pub(crate) async fn set_aside(&self, foreign: Vec<Foreign>) {
        let Lane { family, chain, nats, metrics, .. } = self.lane.as_ref();
        for Foreign { message, reason } in foreign {
            let position = message.position();
            if self.set_aside.lock().await.contains(&position) {
                continue;
            }
            let kept = dead_letter(nats, family.name, self.stream_name(), &message, &reason).await;
            if let Err(error) = kept {
                // Nothing is lost: it stays in the stream, and the next look tries again.
                tracing::warn!(
                    chain,
                    sequence = message.sequence,
                    subject = message.subject,
                    reason,
                    %error,
                    "a foreign message on the chain's subjects is passed over, but could not be kept as a dead letter"
                );
                continue;
            }
            self.set_aside.lock().await.insert(position);
            metrics.dead_lettered();
            tracing::warn!(
                chain,
                sequence = message.sequence,
                subject = message.subject,
                reason,
                "a foreign message on the chain's subjects is set aside as a dead letter, the chain goes on"
            );
        }
    }
}
