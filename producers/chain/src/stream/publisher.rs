//! One chain's messages to its stream: atomic batches under the fence, one at a time.

use crypto_intel_nats::{Fence, Nats, OutMessage, PublishError};

use crate::{
    interrupt::ChainInterrupt,
    metrics::ChainMetrics,
    stream::batch_limit::{BatchLimit, reason},
    stream::subjects::is_under,
};

/// Where messages were stored.
#[derive(Debug, Default)]
pub(crate) struct Published {
    /// Of each batch how many messages were published up to its end, and the sequence of its last one.
    parts: Vec<(usize, u64)>,
}

impl Published {
    fn add(&mut self, messages: usize, last_sequence: u64) {
        let before = self.parts.last().map_or(0, |(end, _)| *end);
        self.parts.push((before + messages, last_sequence));
    }

    /// The stream sequence of the message at this place: those of one batch have no gap between them.
    pub(crate) fn sequence_of(&self, place: usize) -> u64 {
        let part = self.parts.iter().find(|(end, _)| place < *end);
        part.map_or(0, |(end, last)| last - (end - 1 - place) as u64)
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

    /// Stores messages in order, as one atomic batch where they fit in one.
    ///
    /// # Errors
    /// [`ChainInterrupt::Replan`] when it is unknown or impossible now: read the stream and plan again.
    pub(crate) async fn publish(
        &mut self,
        messages: Vec<OutMessage>,
    ) -> Result<Published, ChainInterrupt> {
        let mut published = Published::default();
        let mut rest = messages;
        while !rest.is_empty() {
            let (length, limit) = (rest.len(), self.batch_limit.get());
            let part = self.cut(&rest);
            match self.publish_one(&rest[..part]).await {
                Ok(last_sequence) => published.add(part, last_sequence),
                // Nothing of it is stored, and the limit is known now.
                Err(PublishError::BatchTooLong { .. }) if self.batch_limit.get() < limit => {
                    tracing::info!(
                        filter = self.filter,
                        limit = self.batch_limit.get(),
                        "server takes shorter batches: heavy blocks are published in several"
                    );
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            rest = if part == length { Vec::new() } else { rest.split_off(part) };
        }
        Ok(published)
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

    async fn publish_one(&mut self, messages: &[OutMessage]) -> Result<u64, PublishError> {
        let fence = Fence { filter: self.filter.clone(), last_sequence: self.last_sequence };
        let copies_after =
            messages.iter().rev().take_while(|message| !self.is_own(message)).count();
        match self.nats.publish_together(messages, Some(&fence)).await {
            Ok(ack) => {
                self.last_sequence = ack.last_sequence - copies_after as u64;
                Ok(ack.last_sequence)
            }
            Err(error) => {
                self.metrics.batch_refused(reason(&error));
                self.batch_limit.learn_from(&error, messages.len());
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other chains' messages come between the batches of one group.
    #[test]
    fn sequences_are_those_of_each_batch() {
        let mut published = Published::default();
        published.add(3, 10);
        published.add(2, 25);
        let sequences: Vec<u64> = (0..5).map(|place| published.sequence_of(place)).collect();
        assert_eq!(sequences, [8, 9, 10, 24, 25]);
    }
}
