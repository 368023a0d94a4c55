//! The history lane: real bodies, thousands of blocks behind, beside a loop that publishes the same batches and does
//! nothing else; then ten thousand blocks behind, for the memory.

use crate::{
    child::Child,
    fixtures::{self, Node, Produced, read_back},
    options::Options,
    raw::{Prepared, RawOutcome},
    report::{Line, Report, Verdict},
    setup,
    stats::median,
    usage::cores,
    worker::{FetchOutcome, FetchTask, Lane, Task},
};

/// Batches that the raw loop has in flight, as many as the history lane.
const IN_FLIGHT: usize = 3;
/// Maximum CPU time of nats-server for an event, µs.
const BROKER_GOAL_US: f64 = 2.0;
/// Maximum size of the stream for an event.
const STREAM_GOAL_BYTES: f64 = 200.0;
/// Maximum memory of a producer that is far behind.
const MEMORY_GOAL_MB: f64 = 100.0;

/// What each round measured.
#[derive(Debug, Default)]
struct Rounds {
    producer: Vec<Produced>,
    raw: Vec<RawOutcome>,
    fetch: Vec<f64>,
    fetched_bytes: u64,
    messages: u64,
    stream_bytes: u64,
    stream_messages: usize,
    batches: usize,
}

/// Medians of the rounds, seconds.
#[derive(Debug, Clone, Copy)]
struct Medians {
    producer: f64,
    producer_cpu: f64,
    node_cpu: f64,
    broker_cpu: f64,
    raw: f64,
    raw_broker_cpu: f64,
}

/// Measures the lane's rate, then its memory.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let node = Node::start(fixtures::real(options, options.history_blocks)).await?;
    let rounds = compare(options, &node).await?;
    let title = format!("history: {} blocks, {}", node.task.blocks, fixtures::bodies(&node.task));
    node.child.end().await?;
    show(report, &title, options.history_blocks, &rounds);
    far(options, report).await
}

async fn compare(options: &Options, node: &Node) -> anyhow::Result<Rounds> {
    let mut rounds = Rounds::default();
    let mut prepared = None;
    for _ in 0..options.repeat {
        let (source, produced) = node.fill(Lane::History).await?;
        rounds.producer.push(produced);
        rounds.messages = source.messages;
        rounds.stream_bytes = source.bytes;
        let prepared = match &prepared {
            Some(prepared) => prepared,
            None => {
                let published = read_back(&source.broker.nats, Lane::History).await?;
                rounds.batches = published.len();
                rounds.stream_messages = published.iter().map(Vec::len).sum();
                prepared.insert(Prepared::new(&published, None))
            }
        };
        // Its server stops before the next one starts.
        drop(source);
        rounds.raw.push(prepared.publish_on(&setup::broker().await?, IN_FLIGHT).await?);
        let blocks = node.task.blocks;
        let fetch = FetchTask { node_url: node.url.clone(), blocks, heads: false };
        let fetched: FetchOutcome = Child::run(&Task::Fetch(fetch)).await?;
        rounds.fetch.push(fetched.seconds);
        rounds.fetched_bytes = fetched.bytes;
    }
    Ok(rounds)
}

impl Rounds {
    fn medians(&self) -> Medians {
        let producer = |value: fn(&Produced) -> f64| median(self.producer.iter().map(value));
        Medians {
            producer: producer(|round| round.outcome.seconds),
            producer_cpu: producer(|round| round.outcome.usage.cpu_seconds),
            node_cpu: producer(|round| round.node_cpu),
            broker_cpu: producer(|round| round.broker_cpu),
            raw: median(self.raw.iter().map(|round| round.seconds)),
            raw_broker_cpu: median(self.raw.iter().map(|round| round.broker_cpu)),
        }
    }
}

impl Medians {
    /// Estimated time of the producer with its node on another machine: if all cores are busy, this saves the node's CPU
    /// time spread over them; otherwise less.
    fn without_node(&self) -> f64 {
        (self.producer - self.node_cpu / cores()).max(1e-9)
    }

    /// Share of the cores' time that node, producer and nats-server used together.
    fn busy(&self) -> f64 {
        (self.producer_cpu + self.node_cpu + self.broker_cpu) / (self.producer * cores())
    }
}

fn show(report: &mut Report, title: &str, blocks: u64, rounds: &Rounds) {
    let medians = rounds.medians();
    let messages = rounds.messages as f64;
    let sides = [
        ("", "producer, from the node's websocket", medians.producer),
        ("_node_subtracted", "the same without the node's own work", medians.without_node()),
        ("_raw", "raw limit: the same batches, no fence, 3 under way", medians.raw),
    ];
    let mut lines = Vec::new();
    for (suffix, what, seconds) in sides {
        let (events, per_second) = (messages / seconds, blocks as f64 / seconds);
        report.put(format!("history{suffix}_events_per_second"), events);
        report.put(format!("history{suffix}_blocks_per_second"), per_second);
        if suffix != "_raw" {
            report.put(format!("history{suffix}_ratio"), medians.raw / seconds);
        }
        lines.push(Line::new(what).number(events).number(per_second).number(medians.raw / seconds));
    }
    report.table(&[title, "events/s", "blocks/s", "of raw"], &lines);
    let per_event = |seconds: f64| seconds * 1e6 / messages;
    let peak = rounds
        .producer
        .iter()
        .map(|round| round.outcome.usage.peak_memory_bytes)
        .max()
        .unwrap_or(0);
    let costs = [
        ("cpu_us_per_event", "producer's CPU, µs per event", per_event(medians.producer_cpu)),
        ("node_cpu_us_per_event", "node's CPU, µs per event", per_event(medians.node_cpu)),
        ("nats_cpu_us_per_event", "nats-server's CPU, µs per event", per_event(medians.broker_cpu)),
        (
            "raw_nats_cpu_us_per_event",
            "nats-server's CPU under the raw loop, µs per event",
            per_event(medians.raw_broker_cpu),
        ),
        ("busy_ratio", "share of all cores' time that the three used", medians.busy()),
        ("peak_memory_mb", "producer's peak memory, MB", peak as f64 / 1e6),
        ("events_per_batch", "events in a batch", messages / rounds.batches.max(1) as f64),
        (
            "events_per_message",
            "events in a message",
            messages / rounds.stream_messages.max(1) as f64,
        ),
        (
            "stream_bytes_per_event",
            "bytes in the stream per event",
            rounds.stream_bytes as f64 / messages,
        ),
        ("node_seconds", "fetching alone, s", median(rounds.fetch.iter().copied())),
        ("node_json_mb", "JSON from the node, MB", rounds.fetched_bytes as f64 / 1e6),
        ("messages", "events in all, markers included", messages),
    ];
    report.costs("history", &costs);
    let broker = per_event(medians.broker_cpu);
    let stream = rounds.stream_bytes as f64 / messages;
    report.judge(
        "history_broker",
        Verdict::of(broker < BROKER_GOAL_US && stream < STREAM_GOAL_BYTES),
        &format!(
            "nats-server takes {broker:.2} µs and {stream:.0} bytes an event on the history lane, {BROKER_GOAL_US} and {STREAM_GOAL_BYTES} allowed"
        ),
    );
}

/// Catches up once, from far behind.
async fn far(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let node = Node::start(fixtures::real(options, options.far_blocks)).await?;
    let (source, produced) = node.fill(Lane::History).await?;
    node.child.end().await?;
    let outcome = produced.outcome;
    let peak = outcome.usage.peak_memory_bytes as f64 / 1e6;
    let per_second = source.messages as f64 / outcome.seconds;
    report.put("history_far_blocks", source.blocks as f64);
    report.put("history_far_events_per_second", per_second);
    report.put("history_far_peak_memory_mb", peak);
    let line = Line::new(format!("{} blocks behind, {}", source.blocks, source.bodies));
    let line = line.number(per_second).number(outcome.seconds).number(peak);
    report.table(&["history, far behind", "events/s", "s", "producer's peak MB"], &[line]);
    report.judge(
        "history_memory",
        Verdict::of(peak < MEMORY_GOAL_MB),
        &format!(
            "{peak:.0} MB with {} blocks to catch up with, {MEMORY_GOAL_MB} allowed",
            source.blocks
        ),
    );
    Ok(())
}
