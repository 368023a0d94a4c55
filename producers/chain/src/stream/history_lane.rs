//! Batches of the history lane, which all chains of a process share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crypto_intel_nats::{Nats, OutMessage, PublishError};
use crypto_intel_service::Backoff;
use tokio::sync::Semaphore;

use crate::{
    metrics::ChainMetrics,
    stream::batch_limit::{BatchLimit, reason},
};

/// Batches on the history lane that a process has under way, all chains together: well below the 50 that a
/// server with its own defaults has open for a stream, so that two processes and live fit beside each other.
const HISTORY_BATCHES: usize = 16;

/// How often a batch of the history lane is sent that the server refuses as incomplete: for longer than batches that
/// other writers left open take up its room.
const MAX_ATTEMPTS: u32 = 12;

/// What all chains of a process share on the history lane.
#[derive(Debug, Clone)]
pub struct HistoryLane {
    /// One permit per batch under way: the server has a limit of open batches for a stream.
    permits: Arc<Semaphore>,
    limit: BatchLimit,
    published: Arc<Published>,
}

/// What went out, to know how many events a message of the stream has.
#[derive(Debug, Default)]
struct Published {
    events: AtomicU64,
    messages: AtomicU64,
}

impl Default for HistoryLane {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(HISTORY_BATCHES)),
            limit: BatchLimit::default(),
            published: Arc::default(),
        }
    }
}

impl HistoryLane {
    /// How many messages the server takes in a batch: the same for every chain and lane.
    pub(crate) fn limit(&self) -> BatchLimit {
        self.limit.clone()
    }

    /// Counts events that are on disk, and the messages that hold them.
    pub(crate) fn published(&self, events: usize, messages: usize) {
        self.published.events.fetch_add(events as u64, Ordering::Relaxed);
        self.published.messages.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// How many events so many messages of the stream have, as far as this process knows: what it published itself is
    /// taken for the rule.
    pub(crate) fn events_of(&self, messages: u64) -> u64 {
        let events = self.published.events.load(Ordering::Relaxed);
        let of = self.published.messages.load(Ordering::Relaxed);
        messages.saturating_mul(events.checked_div(of).unwrap_or(1))
    }
}

/// Stores messages in order, as one atomic batch where they fit in one, with no fence: for the history
/// lane, where writes are idempotent by block hash. No more is under way at once than the
/// server takes; what it refuses for its own reasons is sent again.
///
/// # Errors
/// When some of it is not known to be stored: all of it is to be published again.
pub(crate) async fn publish_unfenced(
    nats: &Nats,
    lane: &HistoryLane,
    metrics: &ChainMetrics,
    messages: &[OutMessage],
) -> Result<(), PublishError> {
    let permit = lane.permits.acquire().await;
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
            // Too many batches of other writers were open, or the connection was replaced: nothing is stored.
            PublishError::Incomplete { .. } if attempts < MAX_ATTEMPTS => {
                tokio::time::sleep(delays.next().unwrap_or(backoff.longest)).await;
            }
            _ => return Err(error),
        }
    }
    drop(permit);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crypto_intel_sandbox::NatsOptions;
    use crypto_intel_service::prometheus::Registry;
    use crypto_intel_testkit::Broker;

    use super::*;
    use crate::{metrics::Metrics, stream::publisher::Publisher};

    /// What a server with its own defaults has open for one stream.
    const OPEN_BATCHES: usize = 50;

    fn messages(count: usize) -> Vec<OutMessage> {
        let message = |number| OutMessage::new("history.x.log", format!("body {number}"));
        (0..count).map(message).collect()
    }

    fn metrics() -> ChainMetrics {
        Metrics::new(&Registry::new(), "evm", "EVM").unwrap().of_chain("x")
    }

    #[tokio::test]
    async fn history_of_thirty_chains_is_never_refused() {
        let broker = Broker::start().await;
        let nats = &broker.nats;
        let registry = Registry::new();
        let metrics = Metrics::new(&registry, "evm", "EVM").unwrap().of_chain("x");
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
        let broker = Broker::start().await;
        let nats = &broker.nats;
        // Others left batches open, which the server forgets after ten seconds.
        for number in 0..OPEN_BATCHES {
            let mut headers = crypto_intel_nats::async_nats::HeaderMap::new();
            headers.insert("Nats-Batch-Id", format!("left-{number}"));
            headers.insert("Nats-Batch-Sequence", "1");
            let client = nats.client();
            client.publish_with_headers("history.x.log", headers, "left".into()).await.unwrap();
        }
        let lane = HistoryLane::default();
        publish_unfenced(nats, &lane, &metrics(), &messages(20)).await.unwrap();
        assert_eq!(nats.stream_state("HISTORY").await.unwrap().messages, 20);
    }

    #[tokio::test]
    async fn a_smaller_limit_of_the_server_is_learnt_on_the_way() {
        let options = NatsOptions { batch_max_messages: 100, ..NatsOptions::default() };
        let broker = Broker::start_with(options).await;
        let nats = &broker.nats;
        let lane = HistoryLane::default();
        publish_unfenced(nats, &lane, &metrics(), &messages(250)).await.unwrap();
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
}
