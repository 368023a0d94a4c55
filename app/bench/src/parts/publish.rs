//! From a node to acknowledged batches: the producer, far behind at start, beside loops that only publish what it
//! published.

use anyhow::Context as _;
use crypto_intel_nats::{Batch, Fence, Nats, OutMessage};

use crate::{
    child::Child,
    fixtures::{self, Node, Produced, Source, TRANSFERS, read_back},
    options::{Options, Part},
    raw::{Prepared, RawMessage},
    report::{Line, Report},
    setup,
    stats::median,
    worker::{FetchOutcome, FetchTask, Lane, NodeTask, Task},
};

/// Unfenced batches in flight; more is no faster.
const WINDOW: usize = 4;

/// What each round measured, seconds.
#[derive(Debug, Default)]
struct Rounds {
    producer: Vec<Produced>,
    raw: Vec<f64>,
    unfenced: Vec<f64>,
    batches: Vec<f64>,
    fetch: Vec<f64>,
    fetched_bytes: u64,
    messages: u64,
}

/// Measures publishing if requested; returns a filled stream if the readers are measured, too.
pub(crate) async fn measure(
    options: &Options,
    report: &mut Report,
) -> anyhow::Result<Option<Source>> {
    let real = fixtures::real(options, options.real_blocks);
    if options.wants(Part::Publish) {
        let (_, rounds) = compare(options, &fixtures::generated(options.blocks)).await?;
        let title = format!("publish: {} blocks of {TRANSFERS} transfers", options.blocks);
        show(report, "publish", &title, options.blocks, &rounds);
        if options.data.is_none() {
            report
                .say("CRYPTO_INTEL_DATA is not set: generated blocks take the place of real ones");
        } else {
            let (source, rounds) = compare(options, &real).await?;
            let title = format!("publish: {} blocks, {}", source.blocks, source.bodies);
            show(report, "publish_real", &title, source.blocks, &rounds);
            return Ok(Some(source));
        }
    }
    let readers = [Part::Consume, Part::Persist, Part::Indexes];
    if !readers.into_iter().any(|part| options.wants(part)) {
        return Ok(None);
    }
    let node = Node::start(real).await?;
    let (source, _) = node.fill(Lane::Live).await?;
    node.child.end().await?;
    Ok(Some(source))
}

async fn compare(options: &Options, task: &NodeTask) -> anyhow::Result<(Source, Rounds)> {
    let node = Node::start(task.clone()).await?;
    let mut rounds = Rounds::default();
    let mut published = Vec::new();
    let mut last = None;
    for _ in 0..options.repeat {
        // The server of the previous round stops here: at most two run, and one of them is idle.
        let (source, produced) = node.fill(Lane::Live).await?;
        rounds.producer.push(produced);
        rounds.messages = source.messages;
        if published.is_empty() {
            published = read_back(&source.broker.nats, Lane::Live).await?;
        }
        last = Some(source);
        rounds.raw.push(raw(&published, true, 1).await?);
        rounds.batches.push(own_batches(&published).await?);
        rounds.unfenced.push(raw(&published, false, WINDOW).await?);
        let fetch = FetchTask { node_url: node.url.clone(), blocks: task.blocks, heads: false };
        let fetched: FetchOutcome = Child::run(&Task::Fetch(fetch)).await?;
        rounds.fetch.push(fetched.seconds);
        rounds.fetched_bytes = fetched.bytes;
    }
    node.child.end().await?;
    Ok((last.context("nothing was published")?, rounds))
}

/// The limit: prepared bytes on a plain socket.
async fn raw(batches: &[Vec<RawMessage>], fenced: bool, window: usize) -> anyhow::Result<f64> {
    let broker = setup::broker().await?;
    let fence = Lane::Live.filter();
    let prepared = Prepared::new(batches, fenced.then_some(fence.as_str()));
    Ok(prepared.publish_on(&broker, window).await?.seconds)
}

/// Our own publisher with messages that are ready: all that the producer does except fetching, decoding and encoding.
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
        let fence = Some(Fence { filter: Lane::Live.filter(), last_sequence });
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

fn show(report: &mut Report, key: &str, title: &str, blocks: u64, rounds: &Rounds) {
    let messages = rounds.messages as f64;
    let rate = |seconds: f64| messages / seconds.max(1e-9);
    let middle = |values: &[f64]| median(values.iter().copied());
    let producer = |value: fn(&Produced) -> f64| median(rounds.producer.iter().map(value));
    let seconds = producer(|round| round.outcome.seconds);
    let fetch = middle(&rounds.fetch);
    let peak = producer(|round| round.outcome.usage.peak_memory_bytes as f64);
    let batches = producer(|round| round.outcome.batches as f64);
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
        report.put(format!("{key}{suffix}_blocks_per_second"), blocks as f64 / seconds);
        if suffix != "_raw" {
            report.put(format!("{key}{suffix}_ratio"), share);
        }
        let per_second = blocks as f64 / seconds;
        lines.push(Line::new(what).number(rate(seconds)).number(per_second).number(share));
    }
    report.table(&[title, "events/s", "blocks/s", "of raw"], &lines);
    let per_event = |seconds: f64| seconds * 1e6 / messages;
    let costs = [
        (
            "cpu_us_per_event",
            "producer's CPU, µs per event",
            per_event(producer(|round| round.outcome.usage.cpu_seconds)),
        ),
        (
            "node_cpu_us_per_event",
            "node's CPU, µs per event",
            per_event(producer(|round| round.node_cpu)),
        ),
        (
            "nats_cpu_us_per_event",
            "nats-server's CPU, µs per event",
            per_event(producer(|round| round.broker_cpu)),
        ),
        ("peak_memory_mb", "producer's peak memory, MB", peak / 1e6),
        ("messages_per_batch", "messages in a batch", messages / batches.max(1.0)),
        ("node_seconds", "fetching alone, s", fetch),
        ("node_json_mb", "JSON from the node, MB", rounds.fetched_bytes as f64 / 1e6),
        ("messages", "events in all, markers included", messages),
    ];
    report.costs(key, &costs);
}
