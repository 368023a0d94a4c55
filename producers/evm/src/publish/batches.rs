//! One chain's messages to its stream: atomic batches under the fence, one at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crypto_intel_nats::{Fence, Nats, OutMessage, PublishError};
use crypto_intel_service::Backoff;
use tokio::sync::Semaphore;

use super::encode::is_under;
use crate::{chain::interrupt::ChainInterrupt, metrics::ChainMetrics};

/// What the server takes in one batch, unless it says otherwise; our server.conf sets it.
const BATCH_LIMIT: usize = 20_000;

/// Batches on the history lane that a process has under way, all chains together: well below the 50 that a
/// server with its own defaults has open for a stream, so that two processes and live fit beside each other.
const HISTORY_BATCHES: usize = 16;

/// How often a batch of the history lane is sent that the server refuses as incomplete: for longer than batches that
/// somebody else left open take up its room.
const ATTEMPTS: u32 = 12;

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
    fn learn_from(&self, error: &PublishError, length: usize) -> bool {
        let PublishError::BatchTooLong { limit, .. } = error else { return false };
        let limit = limit.unwrap_or(length / 2).clamp(1, BATCH_LIMIT);
        self.0.fetch_min(limit, Ordering::Relaxed) > limit
    }
}

/// What all chains of a process share on the history lane.
#[derive(Debug, Clone)]
pub(crate) struct HistoryLane {
    /// One permit per batch under way: the server has a limit of open batches for a stream.
    turns: Arc<Semaphore>,
    limit: BatchLimit,
}

impl Default for HistoryLane {
    fn default() -> Self {
        let limit = BatchLimit::default();
        Self { turns: Arc::new(Semaphore::new(HISTORY_BATCHES)), limit }
    }
}

impl HistoryLane {
    /// How many messages the server takes in a batch: the same for every chain and lane.
    pub(crate) fn limit(&self) -> BatchLimit {
        self.limit.clone()
    }
}

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

/// Stores messages in order, as one atomic batch where they fit in one, with no fence: for the history
/// lane, where each block is known by its hash and twice is once. So much is under way at once that the
/// server takes it; what it refuses for its own reasons is sent again.
///
/// # Errors
/// When some of it is not known to be stored: all of it is to be published again.
pub(crate) async fn publish_unfenced(
    nats: &Nats,
    lane: &HistoryLane,
    metrics: &ChainMetrics,
    messages: &[OutMessage],
) -> Result<(), PublishError> {
    let turn = lane.turns.acquire().await;
    let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2) };
    let mut delays = backoff.delays();
    let mut attempts = 0;
    let mut rest = messages;
    while !rest.is_empty() {
        let (part, tail) = rest.split_at(rest.len().min(lane.limit.get()));
        let Err(error) = nats.publish_together(part, None).await else {
            rest = tail;
            continue;
        };
        metrics.batch_refused(reason(&error));
        let learned = lane.limit.learn_from(&error, part.len());
        attempts += 1;
        match &error {
            PublishError::BatchTooLong { .. } if learned => {}
            // Too many batches of other writers were open, or the connection was made anew: nothing is stored.
            PublishError::Incomplete { .. } if attempts < ATTEMPTS => {
                tokio::time::sleep(delays.next().unwrap_or(backoff.longest)).await;
            }
            _ => return Err(error),
        }
    }
    drop(turn);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_nats::{NatsConfig, Topology, connect};
    use crypto_intel_sandbox::{NatsOptions, NatsServer};
    use crypto_intel_service::prometheus::Registry;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::metrics::Metrics;

    /// What a server with its own defaults has open for one stream.
    const OPEN_BATCHES: usize = 50;

    async fn nats(server: &NatsServer) -> Nats {
        let config = NatsConfig { url: server.url().into(), ..NatsConfig::default() };
        let nats = connect(&config, "evm", &CancellationToken::new()).await.unwrap();
        Topology::embedded().unwrap().apply(&nats, false).await.unwrap();
        nats
    }

    fn messages(count: usize) -> Vec<OutMessage> {
        let message = |number| OutMessage::new("history.x.log", format!("body {number}"));
        (0..count).map(message).collect()
    }

    fn metrics() -> ChainMetrics {
        Metrics::new(&Registry::new()).unwrap().of_chain("x")
    }

    #[tokio::test]
    async fn history_of_thirty_chains_is_never_refused() {
        let server = NatsServer::start(NatsOptions::default()).await.unwrap();
        let nats = nats(&server).await;
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap().of_chain("x");
        let lane = HistoryLane::default();
        let publish = |_| {
            let (nats, lane, metrics) = (nats.clone(), lane.clone(), metrics.clone());
            async move { publish_unfenced(&nats, &lane, &metrics, &messages(200)).await }
        };
        futures::future::try_join_all((0..90).map(publish)).await.unwrap();
        assert_eq!(nats.stream_state("HISTORY").await.unwrap().messages, 90 * 200);
        let families = registry.gather();
        let refused =
            families.iter().any(|family| family.name().ends_with("batches_refused_total"));
        assert!(!refused, "no batch is sent that the server has no room for");
    }

    #[tokio::test]
    async fn a_batch_that_finds_no_room_is_sent_again_until_there_is() {
        let server = NatsServer::start(NatsOptions::default()).await.unwrap();
        let nats = nats(&server).await;
        // Others left batches open, which the server forgets after ten seconds.
        for number in 0..OPEN_BATCHES {
            let mut headers = crypto_intel_nats::async_nats::HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("left-{number}"));
            headers.insert("Nats-Batch-Sequence", "1");
            let client = nats.client();
            client.publish_with_headers("history.x.log", headers, "left".into()).await.unwrap();
        }
        let lane = HistoryLane::default();
        publish_unfenced(&nats, &lane, &metrics(), &messages(20)).await.unwrap();
        assert_eq!(nats.stream_state("HISTORY").await.unwrap().messages, 20);
    }

    #[tokio::test]
    async fn a_smaller_limit_of_the_server_is_learnt_on_the_way() {
        let options = NatsOptions { batch_max_messages: 100, ..NatsOptions::default() };
        let server = NatsServer::start(options).await.unwrap();
        let nats = nats(&server).await;
        let lane = HistoryLane::default();
        publish_unfenced(&nats, &lane, &metrics(), &messages(250)).await.unwrap();
        let mut publisher =
            Publisher::new(nats.clone(), "evm.x.>".to_owned(), BatchLimit::default(), metrics());
        let live = |number: usize| OutMessage::new("evm.x.log", format!("body {number}"));
        let published = publisher.publish((0..250).map(live).collect()).await.unwrap();
        assert_eq!(nats.stream_state("HISTORY").await.unwrap().messages, 250);
        assert_eq!(nats.stream_state("EVM").await.unwrap().messages, 250);
        for place in [0, 99, 100, 249] {
            assert_eq!(published.sequence_of(place), place as u64 + 1);
        }
    }

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
