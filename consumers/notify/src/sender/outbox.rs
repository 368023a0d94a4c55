//! Looks into OUTBOX beside the queue: messages that wait, and those folded into another one.

use std::collections::BTreeMap;

use anyhow::Context as _;
use crypto_intel_nats::{Nats, StreamMessage};
use crypto_intel_schemas::Stream;
use crypto_intel_service::RecordingRetry;
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};

use super::{
    in_flight::{Member, decode},
    lane::Lane,
    results::MEMBERS_AT_ONCE,
};
use crate::records::{delivery::STREAM, look_up::look_up};

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

    /// The next messages from a stream sequence on: all within so many sequences, and the first one behind them if that is
    /// near. Empty where there are none.
    pub(super) async fn next_messages(
        &self,
        sequence: u64,
        ahead: u64,
    ) -> anyhow::Result<Vec<StreamMessage>> {
        // Each asks for the first one from its own sequence on: together they miss none.
        let reads: Vec<BoxFuture<'_, anyhow::Result<Option<StreamMessage>>>> = (sequence
            ..sequence.saturating_add(ahead))
            .map(|from| self.next_message(from).boxed())
            .collect();
        let mut reads = stream::iter(reads).buffer_unordered(MEMBERS_AT_ONCE);
        let mut found = BTreeMap::new();
        while let Some(message) = reads.try_next().await? {
            found.extend(message.map(|message| (message.sequence, message)));
        }
        Ok(found.into_values().collect())
    }

    /// The messages at these sequences; those that the stream no longer holds are missing.
    pub(super) async fn members(&self, sequences: &[u64]) -> anyhow::Result<Vec<Member>> {
        let reads: Vec<BoxFuture<'_, anyhow::Result<Option<Member>>>> =
            sequences.iter().map(|sequence| self.member(*sequence).boxed()).collect();
        let mut reads = stream::iter(reads).buffered(MEMBERS_AT_ONCE);
        let mut members = Vec::with_capacity(sequences.len());
        while let Some(member) = reads.try_next().await? {
            members.extend(member);
        }
        Ok(members)
    }

    async fn member(&self, sequence: u64) -> anyhow::Result<Option<Member>> {
        let what = "read a folded message";
        let message = look_up(&self.nats, Stream::Outbox, sequence, what, &self.retry).await?;
        let Some(message) = message else {
            tracing::warn!(
                destination = self.destination,
                sequence,
                "a folded message is no longer in its stream"
            );
            return Ok(None);
        };
        Ok(decode(&message).ok().map(|notification| Member { message, notification }))
    }
}
