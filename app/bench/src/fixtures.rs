//! Streams that the producer filled, and what it published to them.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamMessage, StreamReader};
use crypto_intel_schemas::subjects;

use crate::{
    child::Child,
    options::Options,
    raw::RawMessage,
    setup::{self, Broker},
    usage::Usage,
    worker::{BenchScope, CHAIN, EvmOutcome, EvmTask, Lane, NodeReady, NodeTask, Task},
};

/// Transfers in each generated block.
pub(crate) const TRANSFERS: usize = 200;
/// Header that says which batch a message came in.
const BATCH_ID: &str = "Nats-Batch-Id";

/// A stream that the producer filled.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) broker: Broker,
    /// What kind of blocks it holds.
    pub(crate) bodies: &'static str,
    /// How many blocks.
    pub(crate) blocks: u64,
    /// How many events, markers included.
    pub(crate) messages: u64,
    /// Bytes in the stream.
    pub(crate) bytes: u64,
}

/// A node in a process of its own.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) task: NodeTask,
}

/// Result of the producer, with the CPU time of its servers.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) outcome: EvmOutcome,
    pub(crate) node_cpu: f64,
    pub(crate) broker_cpu: f64,
}

/// Generated blocks, numbers from 1.
pub(crate) const fn generated(blocks: u64) -> NodeTask {
    NodeTask { blocks, transfers: TRANSFERS, data: None, first_takes: None }
}

/// Real bodies if there is recorded data, else generated ones.
pub(crate) fn real(options: &Options, blocks: u64) -> NodeTask {
    NodeTask { data: options.data.clone(), ..generated(blocks) }
}

/// What a node's blocks are made of.
pub(crate) const fn bodies(task: &NodeTask) -> &'static str {
    match task.data {
        Some(_) => "real Ethereum bodies",
        None => "generated blocks of 200 transfers",
    }
}

impl Node {
    /// Starts one and waits until it serves.
    pub(crate) async fn start(task: NodeTask) -> anyhow::Result<Self> {
        let mut child = Child::start(&Task::Node(task.clone()))?;
        let ready: NodeReady = child.answer().await.context("start the node")?;
        Ok(Self { child, url: ready.url, task })
    }

    /// Lets the producer catch up with it on a server.
    pub(crate) async fn produce(
        &self,
        broker: Broker,
        lane: Lane,
    ) -> anyhow::Result<(Source, Produced)> {
        let broker_before = Usage::of(broker.server.pid()).cpu_seconds;
        let node_before = Usage::of(self.child.pid()).cpu_seconds;
        let blocks = self.task.blocks;
        let (nats_url, node_url) = (broker.server.url(), self.url.clone());
        let scope = BenchScope::Everything;
        let task = EvmTask { nats_url, node_url, first: 1, blocks, lane, scope };
        let outcome: EvmOutcome =
            Child::run(&Task::Evm(task)).await.context("catch up with the node")?;
        let broker_cpu = Usage::of(broker.server.pid()).cpu_seconds - broker_before;
        let node_cpu = Usage::of(self.child.pid()).cpu_seconds - node_before;
        let state = broker.nats.stream_state(lane.stream()).await?;
        let messages = match lane {
            Lane::Live => state.last_sequence,
            // One message holds many events there.
            Lane::History => outcome.history_events,
        };
        let bodies = bodies(&self.task);
        let source = Source { broker, bodies, blocks, messages, bytes: state.bytes };
        Ok((source, Produced { outcome, node_cpu, broker_cpu }))
    }

    /// Lets the producer catch up with it on a fresh server.
    pub(crate) async fn fill(&self, lane: Lane) -> anyhow::Result<(Source, Produced)> {
        self.produce(setup::broker().await?, lane).await
    }
}

/// What the producer published, batch by batch.
pub(crate) async fn read_back(nats: &Nats, lane: Lane) -> anyhow::Result<Vec<Vec<RawMessage>>> {
    // With the copies for watched addresses: they are in the same batches.
    let filters = [lane.filter(), subjects::watch_chain_all(CHAIN)];
    let filters = filters.iter().take(if lane == Lane::Live { 2 } else { 1 });
    let mut options = ReaderOptions::new(lane.stream(), "bench", Start::First).filters(filters);
    options.unpack = false;
    let mut reader = StreamReader::open(nats, options).await?;
    let mut batches: Vec<Vec<RawMessage>> = Vec::new();
    let mut last_id = None;
    while let Some(read) = reader.next_until_end(5_000).await? {
        for message in read.messages {
            let id = message.header(BATCH_ID).map(str::to_owned);
            if id.is_none() || id != last_id {
                batches.push(Vec::new());
            }
            last_id = id;
            if let Some(batch) = batches.last_mut() {
                batch.push(without_own_headers(message));
            }
        }
    }
    ensure!(
        batches.iter().any(|batch| batch.len() > 1),
        "this nats-server does not keep {BATCH_ID}: the producer's batches are not known"
    );
    Ok(batches)
}

/// Without the headers that its first publication added.
fn without_own_headers(message: StreamMessage) -> RawMessage {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    let headers = headers
        .filter(|(name, _)| !name.to_string().starts_with("Nats-"))
        .flat_map(|(name, values)| {
            values.iter().map(move |value| (name.to_string(), value.to_string()))
        })
        .collect();
    // What was read is a slice of a larger buffer, which it would keep in memory.
    let payload = Bytes::copy_from_slice(&message.payload);
    RawMessage { subject: message.subject, headers, payload }
}
