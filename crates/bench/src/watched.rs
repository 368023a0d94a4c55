//! What a long watch-list costs the producer: one percent of the events touch one of its addresses.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, ensure};
use async_nats::jetstream::stream::Config as StreamConfig;
use crypto_intel_evm::{WatchEntry, WatchKind, measure::Pipeline};
use crypto_intel_nats::{Batch, Bucket, Nats, OutMessage};
use crypto_intel_schemas::Address;

use crate::{
    fill::{self, Node, Produced},
    options::Options,
    random::address,
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

/// Both sides, round by round.
#[derive(Debug, Default)]
struct Rounds {
    none: Vec<Produced>,
    watching: Vec<Produced>,
    events: u64,
    copies: u64,
}

/// Has the producer catch up with and without a watch-list, in turns.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let task = fill::real(options, options.real_blocks);
    let addresses = choose(&task, options.addresses)?;
    let node = Node::start(task).await?;
    let mut rounds = Rounds::default();
    for round in 0..options.repeat {
        // Who comes first changes, so that a machine that gets slower favours nobody.
        for is_watching in [round % 2 == 1, round % 2 == 0] {
            let broker = setup::broker().await?;
            if is_watching {
                watch(&broker, &addresses).await?;
            }
            let (source, produced) = node.produce(broker, Lane::Live).await?;
            let sides = if is_watching { &mut rounds.watching } else { &mut rounds.none };
            sides.push(produced);
            if is_watching {
                rounds.copies = source.messages - rounds.events.min(source.messages);
            } else {
                rounds.events = source.messages;
            }
        }
    }
    node.child.end().await?;
    ensure!(
        rounds.events == 0 || rounds.copies > 0,
        "no event touched any of the watched addresses"
    );
    show(report, options, &rounds);
    Ok(())
}

/// Addresses of which one in a hundred events touches one, the rarest first, and others that nobody uses.
fn choose(task: &NodeTask, count: u64) -> anyhow::Result<Vec<Address>> {
    let pipeline = Pipeline::new("ethereum")?;
    let mut events = 0;
    let mut uses: HashMap<Address, Vec<usize>> = HashMap::new();
    for block in sample(task)? {
        let block = pipeline.read(block.full_json(), block.receipts_json())?;
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

fn show(report: &mut Report, options: &Options, rounds: &Rounds) {
    let blocks = options.real_blocks as f64;
    let events = rounds.events as f64;
    // The list is read once, at start: what counts is from the first acknowledgement on.
    let rate = |round: &Produced| {
        let outcome = &round.outcome;
        let share = (blocks - outcome.first_blocks as f64) / blocks;
        events * share / (outcome.seconds - outcome.first_seconds).max(1e-9)
    };
    let mut lines = Vec::new();
    let many = format!("{}, one event in {ONE_IN} touches one", options.addresses);
    let sides = [("none", "none", &rounds.none), ("all", &many, &rounds.watching)];
    for (key, what, side) in sides {
        let middle = |value: &dyn Fn(&Produced) -> f64| median(side.iter().map(value));
        let (per_second, first) = (middle(&rate), middle(&|round| round.outcome.first_seconds));
        let cpu = middle(&|round| round.outcome.usage.cpu_seconds) * 1e6 / events;
        let peak = middle(&|round| round.outcome.usage.peak_memory_bytes as f64) / 1e6;
        report.put(format!("watched_{key}_events_per_second"), per_second);
        report.put(format!("watched_{key}_cpu_us_per_event"), cpu);
        report.put(format!("watched_{key}_peak_memory_mb"), peak);
        report.put(format!("watched_{key}_start_ms"), first * 1_000.0);
        let line = Line::new(what).number(per_second).number(cpu).number(peak);
        lines.push(line.number(first));
    }
    let heads = [
        "watched addresses",
        "events/s",
        "producer's CPU µs per event",
        "peak MB",
        "s to first ack",
    ];
    report.table(&heads, &lines);
    let [none, all] = [&rounds.none, &rounds.watching].map(|side| median(side.iter().map(rate)));
    let share = all / none.max(1e-9);
    report.put("watched_copies", rounds.copies as f64);
    report.put("watched_ratio", share);
    report.say(&format!("{} copies of {} events", rounds.copies, rounds.events));
    report.judge(
        "watched",
        Verdict::of(share > GOAL),
        &format!("{share:.2} of the rate without watched addresses, more than {GOAL} wanted"),
    );
}
