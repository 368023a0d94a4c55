//! Looks into OUTBOX beside the queue: messages that wait, and those folded into another one.

use anyhow::Context as _;
use crypto_intel_nats::{Nats, StreamMessage};
use crypto_intel_service::RecordingRetry;

use super::{
    in_flight::{Member, decode},
    lane::Lane,
};
use crate::records::delivery::STREAM;

/// The messages of one lane of a destination.
#[derive(Debug)]
pub(super) struct Outbox {
    nats: Nats,
    retry: RecordingRetry,
    destination: String,
    subject: String,
}

impl Outbox {
    pub(super) fn new(nats: &Nats, retry: &RecordingRetry, destination: &str, lane: Lane) -> Self {
        Self {
            nats: nats.clone(),
            retry: retry.clone(),
            destination: destination.to_owned(),
            subject: lane.subject(destination),
        }
    }

    /// The first message from a stream sequence on.
    pub(super) async fn next_message(
        &self,
        sequence: u64,
    ) -> anyhow::Result<Option<StreamMessage>> {
        self.retry
            .run("read waiting messages", || {
                self.nats.next_matching(STREAM, sequence, &self.subject)
            })
            .await?
            .context("read waiting messages")
    }

    /// The messages at these sequences; those that the stream no longer holds are missing.
    pub(super) async fn members(&self, sequences: &[u64]) -> anyhow::Result<Vec<Member>> {
        let mut members = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let message = self
                .retry
                .run("read a folded message", || self.nats.get(STREAM, *sequence))
                .await?
                .context("read a folded message")?;
            let Some(message) = message else {
                tracing::warn!(
                    destination = self.destination,
                    sequence,
                    "a folded message is no longer in its stream"
                );
                continue;
            };
            if let Ok(notification) = decode(&message) {
                members.push(Member { message, notification });
            }
        }
        Ok(members)
    }
}
