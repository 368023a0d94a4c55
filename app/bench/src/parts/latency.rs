//! Everything at once: from a head to its acknowledgement, its committed row and its chat message.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use crypto_intel_sandbox::{ChatLimits, ChatOptions, ChatServer};
use tempfile::TempDir;

use crate::{
    child::Child,
    disk,
    fixtures::read_back,
    heights::Heights,
    options::Options,
    raw::Prepared,
    report::{Line, Report, Verdict},
    setup::{self, Broker, Database},
    stats::percentile,
    worker::{
        BlockAt, CHAIN, DESTINATIONS, FetchOutcome, FetchTask, Lane, NodeReady, NodeTask,
        PipelineOutcome, PipelineTask, Play, Played, Task,
    },
};

/// How often the tables are polled: a row is seen up to this much late.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// What has not arrived this long after the last block is missing.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Blocks before the first measured one: the producer begins below the head.
const WARM_UP_BLOCKS: u64 = 24;
/// How many blocks are fetched and published alone, for comparison.
const BLOCKS_ALONE: u64 = 100;
/// How many fsyncs are timed before and after each shape, because a disk's speed varies.
const FSYNCS: usize = 200;
/// Goal from head to acknowledgement, without the node's own time, for 99 of 100 blocks.
const GOAL_MS: f64 = 20.0;
/// Goal from acknowledgement to the request of the chat, for 99 of 100 messages.
const GOAL_TOLD_MS: f64 = 25.0;
/// The goal is for disks with an fsync faster than this.
const GOAL_FSYNC_MS: f64 = 2.0;
/// First words of each message; the block's number follows.
const TITLE: &str = "whale in block ";

/// How the chain grows, and what its first endpoint does.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Prefix of the names of its figures.
    key: &'static str,
    blocks_per_second: f64,
    /// In each block.
    transfers: usize,
    /// If set, there are two endpoints, and each answer of the first takes this long.
    first_takes: Option<Duration>,
}

const SHAPES: [Shape; 3] = [
    Shape { key: "", blocks_per_second: 10.0, transfers: 200, first_takes: None },
    // Each block is a message to Discord, where notify sends at most 45 a second from one address.
    Shape { key: "small_", blocks_per_second: 40.0, transfers: 20, first_takes: None },
    Shape {
        key: "slow_first_",
        blocks_per_second: 10.0,
        transfers: 200,
        first_takes: Some(Duration::from_secs(5)),
    },
];

/// Servers of one run, and the pipeline on them.
#[derive(Debug)]
struct Run {
    pipeline: Child,
    node: Child,
    node_url: String,
    chat: ChatServer,
    database: Database,
    broker: Broker,
    _rules: TempDir,
}

/// When each block reached each stage, microseconds since 1970; numbers repeat if a block is in several messages.
#[derive(Debug, Default)]
struct Times {
    /// Milliseconds of each fsync just before and after.
    fsyncs: Vec<f64>,
    /// Milliseconds of each block's batch on a plain socket.
    raw_batches: Vec<f64>,
    fetched: Vec<(u64, i64)>,
    fetched_pushed: HashMap<u64, i64>,
    pushed: HashMap<u64, i64>,
    acknowledged: Vec<(u64, i64)>,
    rows: Vec<(u64, i64)>,
    messages: Vec<(u64, i64)>,
    cpu_seconds: f64,
    peak_memory_bytes: u64,
}

/// Plays blocks at a fixed rate and follows each through the pipeline.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    for shape in SHAPES {
        let Shape { blocks_per_second: per_second, transfers, .. } = shape;
        let mut fsyncs = disk::fsyncs(FSYNCS)?;
        let run = Run::start(shape).await?;
        let blocks = (options.seconds as f64 * per_second) as u64;
        let mut times = run.measure(Play { blocks, per_second }).await?;
        fsyncs.extend(disk::fsyncs(FSYNCS)?);
        times.fsyncs = fsyncs;
        let slow =
            if shape.first_takes.is_some() { ", the first of two endpoints slow" } else { "" };
        show(report, shape, &format!("{per_second} blocks/s of {transfers}{slow}"), &times);
    }
    Ok(())
}

impl Run {
    async fn start(shape: Shape) -> anyhow::Result<Self> {
        let Shape { transfers, first_takes, .. } = shape;
        let node = NodeTask { blocks: WARM_UP_BLOCKS, transfers, data: None, first_takes };
        let mut node = Child::start(&Task::Node(node))?;
        let chat = ChatOptions { limits: ChatLimits::Relaxed, ..ChatOptions::default() };
        let (broker, database, chat) =
            tokio::try_join!(setup::broker(), setup::database(), async {
                ChatServer::start(chat).await.context("start the chat stand-in")
            },)?;
        let ready: NodeReady = node.answer().await?;
        let rules = tempfile::tempdir().context("make a folder for the rule")?;
        let path = rules.path().join("rules.toml");
        fs::write(&path, rule()).context("write the rule")?;
        let pipeline = Child::start(&Task::Pipeline(PipelineTask {
            nats_url: broker.server.url(),
            database_url: database.url.clone(),
            node_url: ready.url.clone(),
            second_url: ready.second.clone(),
            chat_url: chat.url(),
            webhook_url: chat.discord_webhook_url("1", "bench"),
            rules: path,
        }))?;
        // The endpoint that is measured alone: the one that is not slow.
        let node_url = ready.second.unwrap_or(ready.url);
        Ok(Self { pipeline, node, node_url, chat, database, broker, _rules: rules })
    }

    async fn measure(mut self, play: Play) -> anyhow::Result<Times> {
        let chains = vec![CHAIN.to_owned()];
        let mut heights = Heights::open(&self.database.url, chains, 0, POLL_INTERVAL).await?;
        tokio::time::timeout(DRAIN_TIMEOUT, heights.watch(WARM_UP_BLOCKS, drop))
            .await
            .context("the pipeline stored nothing")??;
        wait_for_message(&self.chat, WARM_UP_BLOCKS).await?;
        let mut times = Times::default();
        let last = WARM_UP_BLOCKS + play.blocks;
        self.node.tell(&play).await?;
        let playing = Duration::from_secs_f64(play.blocks as f64 / play.per_second);
        let mut note = |news: Vec<BlockAt>| {
            times.rows.extend(news.iter().map(|block| (block.number, block.at_us)));
        };
        let (played, stored) = tokio::join!(
            self.node.answer::<Played>(),
            tokio::time::timeout(playing + DRAIN_TIMEOUT, heights.watch(last, &mut note)),
        );
        times.pushed = played?.pushed.into_iter().collect();
        stored.with_context(|| {
            let newest = heights.seen_in_all();
            format!("row of block {last} did not arrive, the newest is {newest}")
        })??;
        wait_for_message(&self.chat, last).await?;
        self.pipeline.finish();
        let outcome: PipelineOutcome = self.pipeline.answer().await?;
        times.acknowledged = outcome.acknowledged;
        times.cpu_seconds = outcome.usage.cpu_seconds;
        times.peak_memory_bytes = outcome.usage.peak_memory_bytes;
        times.messages = messages(&self.chat);
        ensure!(
            self.chat.violations().is_empty(),
            "the chat services would have refused: {:?}",
            self.chat.violations().first()
        );
        self.pipeline.end().await?;
        times.raw_batches = raw_batches(&self.broker, &play).await?;
        // The node's own part, measured with nothing else running.
        let blocks = play.blocks.min(BLOCKS_ALONE);
        let fetch = FetchTask { node_url: self.node_url.clone(), blocks, heads: true };
        let mut fetcher = Child::start(&Task::Fetch(fetch))?;
        fetcher.answer::<bool>().await?;
        self.node.tell(&Play { blocks, per_second: play.per_second }).await?;
        let played: Played = self.node.answer().await?;
        let fetched: FetchOutcome = fetcher.answer().await?;
        times.fetched_pushed = played.pushed.into_iter().collect();
        times.fetched = fetched.fetched;
        self.node.end().await?;
        times.complete(play.blocks)?;
        Ok(times)
    }
}

/// The newest blocks' batches again, on a plain socket to a fresh server, at the same pace.
async fn raw_batches(broker: &Broker, play: &Play) -> anyhow::Result<Vec<f64>> {
    let mut batches = read_back(&broker.nats, Lane::Live).await?;
    batches.drain(..batches.len().saturating_sub(BLOCKS_ALONE as usize));
    let fence = Lane::Live.filter();
    let prepared = Prepared::new(&batches, Some(&fence));
    let fresh = setup::broker().await?;
    let url = fresh.server.url();
    let interval = Duration::from_secs_f64(1.0 / play.per_second);
    tokio::task::spawn_blocking(move || prepared.pace(&url, interval))
        .await
        .context("run the raw loop")?
        .context("run the raw loop")
}

/// One rule that matches the first transfer of every block and no other.
fn rule() -> String {
    let routes = DESTINATIONS.map(|name| format!("{name:?}")).join(", ");
    format!(
        r#"[[rule]]
id = "whale"
on = "evm.{CHAIN}.transfer.erc20"
when = 'value >= u256("1000000000000")'
severity = "warning"
title = "{TITLE}{{{{ block_number }}}}"
lines = ["from {{{{ from|short }}}} to {{{{ to|short }}}}"]
routes = [{routes}]
"#
    )
}

async fn wait_for_message(chat: &ChatServer, number: u64) -> anyhow::Result<()> {
    let arrived = async {
        while messages(chat).iter().filter(|(block, _)| *block == number).count()
            < DESTINATIONS.len()
        {
            tokio::time::sleep(POLL_INTERVAL * 50).await;
        }
    };
    tokio::time::timeout(DRAIN_TIMEOUT, arrived)
        .await
        .with_context(|| format!("the messages of block {number} did not arrive"))
}

fn messages(chat: &ChatServer) -> Vec<(u64, i64)> {
    let messages = chat.messages();
    let blocks = messages.iter().filter_map(|message| {
        let (_, rest) = message.text.split_once(TITLE)?;
        let number = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
        let since_1970 = message.accepted_at.duration_since(UNIX_EPOCH).ok()?;
        Some((number, i64::try_from(since_1970.as_micros()).ok()?))
    });
    blocks.collect()
}

impl Times {
    /// Fails if anything is missing: a pipeline that loses something has no latency.
    fn complete(&self, blocks: u64) -> anyhow::Result<()> {
        let wanted = [
            ("acknowledgements", &self.acknowledged, blocks),
            ("rows", &self.rows, blocks),
            ("messages", &self.messages, blocks * DESTINATIONS.len() as u64),
        ];
        for (what, times, wanted) in wanted {
            let found = times.iter().filter(|(number, _)| self.pushed.contains_key(number)).count();
            ensure!(found as u64 == wanted, "{found} {what} of {wanted}");
        }
        Ok(())
    }
}

fn elapsed(times: &[(u64, i64)], since: &HashMap<u64, i64>) -> Vec<f64> {
    let elapsed =
        |(number, at_us): &(u64, i64)| Some((at_us - since.get(number)?) as f64 / 1_000.0);
    times.iter().filter_map(elapsed).collect()
}

fn milliseconds(times: &[(u64, i64)], since: &HashMap<u64, i64>) -> [f64; 2] {
    let elapsed = elapsed(times, since);
    [0.5, 0.99].map(|share| percentile(elapsed.iter().copied(), share))
}

/// A goal can be met on a slow disk, but missing it there proves nothing.
fn verdict(beyond_p99_ms: f64, fsync_p50_ms: f64) -> Verdict {
    if beyond_p99_ms < GOAL_MS {
        Verdict::Met
    } else if fsync_p50_ms < GOAL_FSYNC_MS {
        Verdict::Missed
    } else {
        Verdict::NotJudged
    }
}

fn show(report: &mut Report, shape: Shape, title: &str, times: &Times) {
    let key = shape.key;
    let node = milliseconds(&times.fetched, &times.fetched_pushed);
    let acknowledged = milliseconds(&times.acknowledged, &times.pushed);
    let raw = [0.5, 0.99].map(|share| percentile(times.raw_batches.iter().copied(), share));
    let fsync = [0.5, 0.99].map(|share| percentile(times.fsyncs.iter().copied(), share));
    // The node's slowest answers are not those of the slowest blocks, so only its median is subtracted.
    let beyond = acknowledged.map(|elapsed| elapsed - node[0]);
    // Without the blocks that came before the first measured one.
    let measured = times.acknowledged.iter().copied();
    let acknowledged_at: HashMap<u64, i64> =
        measured.filter(|(number, _)| times.pushed.contains_key(number)).collect();
    let told = milliseconds(&times.messages, &acknowledged_at);
    let figures = [
        ("fsync", "append 4 KiB and fsync, in the same minute", fsync),
        ("head_to_fetched", "the node alone: head to block and receipts", node),
        ("raw_batch", "nats-server alone: one block's batch to its ack", raw),
        ("head_to_ack", "head to acknowledged block", acknowledged),
        ("head_to_ack_beyond_node", "the same without the node's usual time", beyond),
        ("head_to_row", "head to committed row", milliseconds(&times.rows, &times.pushed)),
        ("head_to_chat", "head to chat message", milliseconds(&times.messages, &times.pushed)),
        ("ack_to_chat", "acknowledged block to chat message", told),
    ];
    let mut lines = Vec::new();
    for (name, what, [p50, p99]) in figures {
        report.put(format!("{key}{name}_p50_ms"), p50);
        report.put(format!("{key}{name}_p99_ms"), p99);
        lines.push(Line::new(what).number(p50).number(p99));
    }
    report.table(&[&format!("latency at {title}"), "p50 ms", "p99 ms"], &lines);
    if let Some(takes) = shape.first_takes {
        let worst = percentile(elapsed(&times.acknowledged, &times.pushed), 1.0);
        report.put(format!("{key}head_to_ack_max_ms"), worst);
        report.say(&format!(
            "the first endpoint takes {} ms for an answer, its slowest block took {worst:.0} ms",
            takes.as_millis()
        ));
        return;
    }
    report.judge(
        &format!("{key}head_to_ack"),
        verdict(beyond[1], fsync[0]),
        &format!(
            "p99 of {:.1} ms beyond the node's time, {GOAL_MS} allowed where an fsync takes under {GOAL_FSYNC_MS} ms; here it takes {:.2} (p50) and {:.2} (p99) on {}",
            beyond[1],
            fsync[0],
            fsync[1],
            disk::place()
        ),
    );
    report.judge(
        &format!("{key}ack_to_chat"),
        Verdict::of(told[1] < GOAL_TOLD_MS),
        &format!(
            "p99 of {:.1} ms from acknowledgement to chat message, {GOAL_TOLD_MS} allowed",
            told[1]
        ),
    );
    let blocks = times.pushed.len() as f64;
    let peak = times.peak_memory_bytes as f64 / 1e6;
    report.put(format!("{key}pipeline_cpu_ms_per_block"), times.cpu_seconds * 1_000.0 / blocks);
    report.put(format!("{key}pipeline_peak_memory_mb"), peak);
    report.say(&format!(
        "{blocks} blocks; the pipeline used {:.1} ms CPU per block and {peak:.0} MB",
        times.cpu_seconds * 1_000.0 / blocks
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_not_judged_on_a_slow_disk() {
        assert_eq!(verdict(19.9, 0.3), Verdict::Met);
        assert_eq!(verdict(19.9, 9.0), Verdict::Met);
        assert_eq!(verdict(20.0, 1.9), Verdict::Missed);
        assert_eq!(verdict(20.0, 2.0), Verdict::NotJudged);
    }
}
