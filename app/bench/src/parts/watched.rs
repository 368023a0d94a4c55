//! What a long watch-list costs the producer: one percent of the events touch one of its addresses.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::stream::Config as StreamConfig;
use crypto_intel_evm::{LogProof, measure::Pipeline};
use crypto_intel_nats::{Batch, Bucket, Nats, OutMessage};
use crypto_intel_schemas::{Address, WatchEntry, WatchKind};

use crate::{
    fixtures::{self, Node, Produced, read_back},
    options::Options,
    random::address,
    raw::{Prepared, RawOutcome},
    report::{Line, Report, Verdict},
    setup::{self, Broker},
    stats::median,
    worker::{CHAIN, Lane, NodeTask, sample},
};

/// One of so many events touches a watched address.
const ONE_IN: usize = 100;
/// Seed of the addresses that no event names.
const UNUSED: u64 = 1;
/// Entries written to the watch-list at once.
const AT_ONCE: usize = 10_000;
/// What of the rate must be left.
const GOAL: f64 = 0.9;

/// With or without a watch-list.
#[derive(Debug)]
struct Side {
    key: &'static str,
    what: String,
    addresses: Vec<Address>,
    produced: Vec<Produced>,
    /// What it published, to be published again by a loop that does nothing else.
    prepared: Option<Prepared>,
    raw: Vec<RawOutcome>,
    /// Messages in its stream, copies included.
    messages: u64,
}

/// Has the producer catch up with and without a watch-list, in turns.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let task = fixtures::real(options, options.real_blocks);
    let addresses = choose(&task, options.addresses)?;
    let many = format!("{}, one event in {ONE_IN} touches one", addresses.len());
    let mut none = Side::new("none", "none", Vec::new());
    let mut all = Side::new("all", &many, addresses);
    let node = Node::start(task).await?;
    for round in 0..options.repeat {
        // The order alternates, so that a machine that gets slower favours neither side.
        if round.is_multiple_of(2) {
            none.round(&node).await?;
            all.round(&node).await?;
        } else {
            all.round(&node).await?;
            none.round(&node).await?;
        }
    }
    node.child.end().await?;
    ensure!(all.messages > none.messages, "no event touched any of the watched addresses");
    show(report, options, &none, &all);
    Ok(())
}

impl Side {
    fn new(key: &'static str, what: &str, addresses: Vec<Address>) -> Self {
        Self {
            key,
            what: what.to_owned(),
            addresses,
            produced: Vec::new(),
            prepared: None,
            raw: Vec::new(),
            messages: 0,
        }
    }

    async fn round(&mut self, node: &Node) -> anyhow::Result<()> {
        let broker = setup::broker().await?;
        watch(&broker, &self.addresses).await?;
        let (source, produced) = node.produce(broker, Lane::Live).await?;
        self.produced.push(produced);
        self.messages = source.messages;
        let prepared = match &self.prepared {
            Some(prepared) => prepared,
            None => {
                let published = read_back(&source.broker.nats, Lane::Live).await?;
                let fence = Lane::Live.filter();
                self.prepared.insert(Prepared::new(&published, Some(&fence)))
            }
        };
        drop(source);
        self.raw.push(prepared.publish_on(&setup::broker().await?, 1).await?);
        Ok(())
    }
}

/// Addresses of which one in a hundred events touches one, the rarest first, and others that no event names.
fn choose(task: &NodeTask, count: u64) -> anyhow::Result<Vec<Address>> {
    let pipeline = Pipeline::new("ethereum")?;
    let mut events = 0;
    let mut uses: HashMap<Address, Vec<usize>> = HashMap::new();
    for block in sample(task)? {
        let block = pipeline.read(block.full_json(), block.receipts_json(), LogProof::Presence)?;
        for addresses in pipeline.addresses(&block) {
            for address in addresses {
                uses.entry(address).or_default().push(events);
            }
            events += 1;
        }
    }
    let mut rarest: Vec<(Address, Vec<usize>)> = uses.into_iter().collect();
    rarest.sort_unstable_by_key(|(address, events)| (events.len(), *address));
    let mut touched = HashSet::new();
    let mut chosen = Vec::new();
    for (address, at) in rarest {
        if touched.len() * ONE_IN >= events {
            break;
        }
        touched.extend(at);
        chosen.push(address);
    }
    let others = (0..count).map(|number| address(UNUSED, number));
    Ok(chosen.into_iter().chain(others).take(count as usize).collect())
}

/// Fills the bucket of the watch-list. Entry by entry takes an fsync each: the private server's bucket is told to take
/// atomic batches before.
async fn watch(broker: &Broker, addresses: &[Address]) -> anyhow::Result<()> {
    allow_batches(&broker.nats).await.context("prepare the bucket")?;
    let bucket = Bucket::Watchlist.name();
    for some in addresses.chunks(AT_ONCE) {
        let mut messages = Vec::with_capacity(some.len());
        for (place, address) in some.iter().enumerate() {
            let entry = WatchEntry {
                label: Some(format!("wallet {place}")),
                kind: WatchKind::Wallet,
                ..WatchEntry::default()
            };
            let key = format!("$KV.{bucket}.{CHAIN}.{address:#x}");
            messages.push(OutMessage::new(key, serde_json::to_vec(&entry)?));
        }
        let batch = Batch { messages, fence: None };
        broker.nats.publish_batch(batch).await.context("fill the watch-list")?;
    }
    Ok(())
}

async fn allow_batches(nats: &Nats) -> anyhow::Result<()> {
    let mut stream = nats.jetstream().get_stream(Bucket::Watchlist.stream()).await?;
    let config: StreamConfig = stream.info().await?.config.clone();
    let config = StreamConfig { allow_atomic_publish: true, ..config };
    nats.jetstream().update_stream(config).await?;
    Ok(())
}

/// What counts of one run: the list is read once, at start, so that it is from the first acknowledgement on.
#[derive(Debug, Clone, Copy)]
struct Counted {
    events_per_second: f64,
    cpu_us_per_event: f64,
}

impl Counted {
    fn of(produced: &Produced, blocks: u64, events: u64) -> Self {
        let (outcome, first) = (&produced.outcome, &produced.outcome.first);
        let share = (blocks - first.blocks.min(blocks)) as f64 / blocks as f64;
        let events = (events as f64 * share).max(1.0);
        Self {
            events_per_second: events / (outcome.seconds - first.seconds).max(1e-9),
            cpu_us_per_event: (outcome.usage.cpu_seconds - first.cpu_seconds) * 1e6 / events,
        }
    }
}

fn show(report: &mut Report, options: &Options, none: &Side, all: &Side) {
    // Copies are not counted as events.
    let events = none.messages;
    let mut lines = Vec::new();
    let mut rates = Vec::new();
    let mut raw_rates = Vec::new();
    for side in [none, all] {
        let counted = |produced| Counted::of(produced, options.real_blocks, events);
        let rate = median(side.produced.iter().map(|round| counted(round).events_per_second));
        let cpu = median(side.produced.iter().map(|round| counted(round).cpu_us_per_event));
        let first = median(side.produced.iter().map(|round| round.outcome.first.seconds));
        let peak = |round: &Produced| round.outcome.usage.peak_memory_bytes as f64 / 1e6;
        let peak = median(side.produced.iter().map(peak));
        let raw = median(side.raw.iter().map(|raw| events as f64 / raw.seconds));
        let raw_cpu = median(side.raw.iter().map(|raw| raw.broker_cpu * 1e6 / events as f64));
        let figures = [
            ("events_per_second", rate),
            ("cpu_us_per_event", cpu),
            ("peak_memory_mb", peak),
            ("start_ms", first * 1_000.0),
            ("raw_events_per_second", raw),
            ("raw_nats_cpu_us_per_event", raw_cpu),
        ];
        for (suffix, value) in figures {
            report.put(format!("watched_{}_{suffix}", side.key), value);
        }
        let line = Line::new(&side.what).number(rate).number(cpu).number(peak).number(first);
        lines.push(line.number(raw).number(raw_cpu));
        rates.push(rate);
        raw_rates.push(raw);
    }
    let heads = [
        "watched addresses",
        "events/s",
        "producer's CPU µs per event",
        "peak MB",
        "s to first ack",
        "raw limit, events/s",
        "nats-server's CPU µs per event under it",
    ];
    report.table(&heads, &lines);
    let [share, raw_share] = [&rates, &raw_rates].map(|rates| rates[1] / rates[0].max(1e-9));
    report.put("watched_copies", (all.messages - events) as f64);
    report.put("watched_ratio", share);
    report.put("watched_raw_ratio", raw_share);
    report.say(&format!(
        "{} copies, and transactions of watched addresses, beside {events} events; the raw limit with them is {raw_share:.2} of that without",
        all.messages - events
    ));
    report.judge(
        "watched",
        Verdict::of(share > GOAL),
        &format!("{share:.2} of the rate without watched addresses, more than {GOAL} wanted"),
    );
}
