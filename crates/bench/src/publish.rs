//! From a node to acknowledged batches: the producer, far behind at start, beside loops that only publish what it
//! published.

use anyhow::{Context as _, ensure};
use crypto_intel_nats::{
    Batch, Fence, Nats, OutMessage, ReaderOptions, Start, StreamMessage, StreamReader,
};

use crate::{
    child::Child,
    options::{Options, Part},
    raw::{Prepared, RawMessage},
    report::{Line, Report},
    setup::{self, Broker},
    stats::median,
    usage::Usage,
    worker::{CHAIN, EvmOutcome, EvmTask, FetchOutcome, FetchTask, NodeReady, NodeTask, Task},
};

/// Transfers in each generated block.
const TRANSFERS: usize = 200;
/// Real blocks hold more than generated ones: this share of them is enough.
const REAL_SHARE: u64 = 3;
/// Unfenced batches under way at once; more is no faster.
const WINDOW: usize = 4;
/// Header that tells which batch a message came in.
const BATCH_ID: &str = "Nats-Batch-Id";

/// A stream that the producer filled.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) broker: Broker,
    /// How many blocks it holds.
    pub(crate) blocks: u64,
    /// How many messages, markers included.
    pub(crate) messages: u64,
}

/// What each round measured, seconds.
#[derive(Debug, Default)]
struct Rounds {
    producer: Vec<EvmOutcome>,
    node_cpu: Vec<f64>,
    broker_cpu: Vec<f64>,
    raw: Vec<f64>,
    unfenced: Vec<f64>,
    batches: Vec<f64>,
    fetch: Vec<f64>,
    fetched_bytes: u64,
    messages: u64,
}

/// Measures publishing where it is wanted; leaves a filled stream where readers are.
pub(crate) async fn measure(
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<Option<Source>> {
    if options.only == Some(Part::Latency) {
        return Ok(None);
    }
    let generated = NodeTask { blocks: options.blocks, transfers: TRANSFERS, data: None };
    if !options.wants(Part::Publish) {
        let mut node = Child::start(&Task::Node(generated))?;
        let ready: NodeReady = node.answer().await?;
        let (source, _) = produce(&ready, options.blocks, &node).await?;
        node.end().await?;
        return Ok(Some(source));
    }
    let (source, rounds) = compare(options, &generated).await?;
    let title = format!("publish: {} blocks of {TRANSFERS} transfers", options.blocks);
    show(report, "publish", &title, &source, &rounds);
    match &options.data {
        Some(data) => {
            let blocks = (options.blocks / REAL_SHARE).max(1);
            let real = NodeTask { blocks, transfers: 0, data: Some(data.clone()) };
            let (source, rounds) = compare(options, &real).await?;
            show(report, "publish_real", "publish: real Ethereum bodies", &source, &rounds);
        }
        None => report.say("CRYPTO_INTEL_DATA is not set: real bodies are not measured"),
    }
    Ok(Some(source))
}

async fn compare(options: &Options, task: &NodeTask) -> anyhow::Result<(Source, Rounds)> {
    let mut node = Child::start(&Task::Node(task.clone()))?;
    let ready: NodeReady = node.answer().await?;
    let mut rounds = Rounds::default();
    let mut published = Vec::new();
    let mut last = None;
    for _ in 0..options.repeat {
        let cpu_before = Usage::of(node.pid()).cpu_seconds;
        // The server of the round before ends here: at most two run, and one of them is idle.
        let (source, outcome) = produce(&ready, task.blocks, &node).await?;
        rounds.node_cpu.push(Usage::of(node.pid()).cpu_seconds - cpu_before);
        rounds.broker_cpu.push(Usage::of(source.broker.server.pid()).cpu_seconds);
        rounds.producer.push(outcome);
        rounds.messages = source.messages;
        if published.is_empty() {
            published = read_back(&source.broker.nats).await?;
        }
        last = Some(source);
        rounds.raw.push(raw(&published, true, 1).await?);
        rounds.batches.push(own_batches(&published).await?);
        rounds.unfenced.push(raw(&published, false, WINDOW).await?);
        let fetch = FetchTask { node_url: ready.url.clone(), blocks: task.blocks, heads: false };
        let fetched: FetchOutcome = Child::run(&Task::Fetch(fetch)).await?;
        rounds.fetch.push(fetched.seconds);
        rounds.fetched_bytes = fetched.bytes;
    }
    node.end().await?;
    Ok((last.context("nothing was published")?, rounds))
}

/// Has the producer catch up on a fresh server.
async fn produce(
    ready: &NodeReady,
    blocks: u64,
    node: &Child,
) -> anyhow::Result<(Source, EvmOutcome)> {
    let broker = setup::broker().await?;
    let task = EvmTask { nats_url: broker.server.url(), node_url: ready.url.clone(), blocks };
    let outcome = Child::run(&Task::Evm(task))
        .await
        .with_context(|| format!("catch up with the node {}", node.pid()))?;
    let messages = broker.nats.stream_state("EVM").await?.last_sequence;
    Ok((Source { broker, blocks, messages }, outcome))
}

/// What the producer published, batch by batch.
pub(crate) async fn read_back(nats: &Nats) -> anyhow::Result<Vec<Vec<RawMessage>>> {
    let options = ReaderOptions::new("EVM", "bench", Start::First).filters(["evm.>"]);
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

/// Without the headers that belong to its first publishing.
fn without_own_headers(message: StreamMessage) -> RawMessage {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    let headers = headers
        .filter(|(name, _)| !name.to_string().starts_with("Nats-"))
        .flat_map(|(name, values)| {
            values.iter().map(move |value| (name.to_string(), value.to_string()))
        })
        .collect();
    RawMessage { subject: message.subject, headers, payload: message.payload }
}

/// The limit: prepared bytes on a plain socket.
async fn raw(batches: &[Vec<RawMessage>], fenced: bool, window: usize) -> anyhow::Result<f64> {
    let broker = setup::broker().await?;
    let fence = format!("evm.{CHAIN}.>");
    let prepared = Prepared::new(batches, fenced.then_some(fence.as_str()));
    let url = broker.server.url();
    tokio::task::spawn_blocking(move || prepared.publish(&url, window))
        .await
        .context("run the raw loop")?
        .context("run the raw loop")
}

/// Our own publisher with messages that are ready: all that the producer does but fetching, decoding and encoding.
async fn own_batches(batches: &[Vec<RawMessage>]) -> anyhow::Result<f64> {
    let broker = setup::broker().await?;
    let ready: Vec<Vec<OutMessage>> =
        batches.iter().map(|batch| batch.iter().map(out_message).collect()).collect();
    let started = std::time::Instant::now();
    publish_all(&broker.nats, ready).await?;
    Ok(started.elapsed().as_secs_f64())
}

async fn publish_all(nats: &Nats, batches: Vec<Vec<OutMessage>>) -> anyhow::Result<()> {
    let mut last_sequence = 0;
    for messages in batches {
        let fence = Some(Fence { filter: format!("evm.{CHAIN}.>"), last_sequence });
        let ack = nats.publish_batch(Batch { messages, fence }).await.context("publish")?;
        last_sequence = ack.last_sequence;
    }
    Ok(())
}

fn out_message(message: &RawMessage) -> OutMessage {
    let mut out = OutMessage::new(message.subject.clone(), message.payload.clone());
    for (name, value) in &message.headers {
        match name.as_str() {
            "Schema" => out.schema = Some(value.clone().into()),
            // The publisher adds it to everything.
            "Content-Type" => {}
            _ => out = out.header(name.clone(), value.clone()),
        }
    }
    out
}

fn show(report: &mut Report, key: &str, title: &str, source: &Source, rounds: &Rounds) {
    let messages = rounds.messages as f64;
    let rate = |seconds: f64| messages / seconds.max(1e-9);
    let middle = |values: &[f64]| median(values.iter().copied());
    let seconds = median(rounds.producer.iter().map(|outcome| outcome.seconds));
    let fetch = middle(&rounds.fetch);
    let cpu = median(rounds.producer.iter().map(|outcome| outcome.usage.cpu_seconds));
    let peak = median(rounds.producer.iter().map(|outcome| outcome.usage.peak_memory_bytes as f64));
    let batches = median(rounds.producer.iter().map(|outcome| outcome.batches as f64));
    let sides = [
        ("", "producer, from the node's websocket", seconds),
        ("_node_subtracted", "the same without the node's time", (seconds - fetch).max(1e-9)),
        ("_batches", "publish_batch in a loop, messages ready", middle(&rounds.batches)),
        ("_raw", "raw limit: prepared bytes, fenced batches in turn", middle(&rounds.raw)),
        ("_unfenced", "raw limit without fence, 4 batches under way", middle(&rounds.unfenced)),
    ];
    let raw = rate(middle(&rounds.raw));
    let mut lines = Vec::new();
    for (suffix, what, seconds) in sides {
        let share = rate(seconds) / raw;
        report.put(format!("{key}{suffix}_events_per_second"), rate(seconds));
        report.put(format!("{key}{suffix}_blocks_per_second"), source.blocks as f64 / seconds);
        if suffix != "_raw" {
            report.put(format!("{key}{suffix}_ratio"), share);
        }
        let blocks = source.blocks as f64 / seconds;
        lines.push(Line::new(what).number(rate(seconds)).number(blocks).number(share));
    }
    report.table(&[title, "events/s", "blocks/s", "of raw"], &lines);
    let per_event = |seconds: f64| seconds * 1e6 / messages;
    let costs = [
        ("cpu_us_per_event", "producer's CPU, µs per event", per_event(cpu)),
        ("node_cpu_us_per_event", "node's CPU, µs per event", per_event(middle(&rounds.node_cpu))),
        (
            "nats_cpu_us_per_event",
            "nats-server's CPU, µs per event",
            per_event(middle(&rounds.broker_cpu)),
        ),
        ("peak_memory_mb", "producer's peak memory, MB", peak / 1e6),
        ("messages_per_batch", "messages in a batch", messages / batches.max(1.0)),
        ("node_seconds", "fetching alone, s", fetch),
        ("node_json_mb", "JSON from the node, MB", rounds.fetched_bytes as f64 / 1e6),
        ("messages", "events in all, markers included", messages),
    ];
    let mut lines = Vec::new();
    for (suffix, what, value) in costs {
        report.put(format!("{key}_{suffix}"), value);
        lines.push(Line::new(what).number(value));
    }
    report.table(&["its cost", ""], &lines);
}
