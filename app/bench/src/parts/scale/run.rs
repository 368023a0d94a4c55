//! One line: chains that grow, and how long what they make takes to the tables.

use std::time::{Duration, Instant};

use anyhow::ensure;
use crypto_intel_service::now_us;

use super::{
    growth::{caught_up, latencies, newest},
    servers::{Servers, Tables},
    shape::Shape,
    snapshot::{Snapshot, Totals},
};
use crate::{
    stats::percentile,
    usage::{Usage, connections},
    worker::{BlockAt, STALL_TIMEOUT},
};

/// What is not stored this long after the last block counts as stored then.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// A backlog that takes longer fails the run.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(900);

/// Figures of one line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// Events that persist was behind at start.
    pub(super) backlog_events: f64,
    /// From persist's start until it stored what was new.
    pub(super) caught_up_seconds: f64,
    /// Of the chains, meanwhile.
    pub(super) offered_per_second: f64,
    /// Committed: while it caught up, where it was behind.
    pub(super) stored_per_second: f64,
    /// Blocks of all chains that were not in the tables when the last was pushed.
    pub(super) behind_blocks: f64,
    /// From a head to its committed row, when everything was caught up.
    pub(super) row_p50_ms: f64,
    pub(super) row_p99_ms: f64,
    /// Events in a batch of the producer and in a transaction of persist.
    pub(super) batch_events: f64,
    pub(super) transaction_events: f64,
    /// Microseconds an event; of the phase that `stored_per_second` is of.
    pub(super) node_us: f64,
    pub(super) producer_us: f64,
    pub(super) broker_us: f64,
    pub(super) persist_us: f64,
    pub(super) postgres_us: f64,
    pub(super) wal_bytes: f64,
    pub(super) pages_read: f64,
    /// Peaks.
    pub(super) producer_mb: f64,
    pub(super) persist_mb: f64,
    pub(super) broker_mb: f64,
    /// Of the producer.
    pub(super) tasks: f64,
    /// TCP connections of nats-server and the producer.
    pub(super) broker_connections: f64,
    pub(super) producer_connections: f64,
}

/// Measures one line on tables that hold nothing of its chains.
pub(super) async fn run(tables: &Tables, shape: &Shape) -> anyhow::Result<Measured> {
    let mut servers = Servers::start(tables, shape).await?;
    let mut measured = Measured::default();
    if shape.is_behind {
        catch_up(&mut servers, shape, &mut measured).await?;
    } else {
        servers.start_persist()?;
        let first = shape.first_number + shape.node.blocks - 1;
        let is_there = servers.watch.wait_for(&vec![first; shape.chains], STALL_TIMEOUT).await?;
        ensure!(is_there, "persist does not store the first blocks");
    }
    follow(&mut servers, shape, &mut measured).await?;
    measured.producer_mb = peak_mb(servers.producer.pid());
    measured.broker_mb = peak_mb(servers.broker.server.pid());
    measured.persist_mb = servers.persist.as_ref().map_or(0.0, |persist| peak_mb(persist.pid()));
    measured.tasks = servers.produced().await?.tasks as f64;
    measured.producer_connections = connections(servers.producer.pid()) as f64;
    measured.broker_connections = connections(servers.broker.server.pid()) as f64;
    servers.end().await?;
    Ok(measured)
}

fn peak_mb(pid: u32) -> f64 {
    Usage::of(pid).peak_memory_bytes as f64 / 1e6
}

/// persist starts with the backlog before it, while the chain goes on.
async fn catch_up(
    servers: &mut Servers<'_>,
    shape: &Shape,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let before = Snapshot::take(servers).await?;
    measured.backlog_events = before.acknowledged();
    let (started, started_us) = (Instant::now(), now_us());
    servers.start_persist()?;
    let mut pushed = Vec::new();
    let near = loop {
        pushed.extend(servers.play(shape.blocks_per_second, 1).await?);
        if let Some(near) = caught_up(&pushed, &servers.watch.seen()?) {
            break near;
        }
        let waited = started.elapsed();
        ensure!(waited < CATCH_UP_TIMEOUT, "persist has not caught up after {waited:.0?}");
    };
    let used = Snapshot::take(servers).await?.since(&before);
    measured.costs(&used);
    let blocks = near.number + 1 - shape.first_number;
    measured.caught_up_seconds = (near.at_us - started_us) as f64 / 1e6;
    let stored = blocks as f64 * before.events_per_block();
    measured.stored_per_second = stored / measured.caught_up_seconds.max(1e-9);
    Ok(())
}

/// The chains grow, and everything else goes along as well as it can.
async fn follow(
    servers: &mut Servers<'_>,
    shape: &Shape,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let before = Snapshot::take(servers).await?;
    let pushed = servers.play(shape.blocks_per_second, shape.seconds).await?;
    let behind = behind(&pushed, &servers.watch.seen()?, shape.chains);
    let used = Snapshot::take(servers).await?.since(&before);
    measured.behind_blocks = behind as f64;
    let offered = pushed.len() as f64 * before.events_per_block();
    measured.offered_per_second = offered / used.seconds;
    if !shape.is_behind {
        measured.stored_per_second = used.stored / used.seconds;
        measured.costs(&used);
    }
    servers.watch.wait_for(&newest(&pushed, shape.chains), DRAIN_TIMEOUT).await?;
    let waited = latencies(&pushed, &servers.watch.seen()?, now_us());
    measured.row_p50_ms = percentile(waited.iter().copied(), 0.5);
    measured.row_p99_ms = percentile(waited.iter().copied(), 0.99);
    Ok(())
}

/// Pushed blocks that are not in the tables.
fn behind(pushed: &[BlockAt], stored: &[BlockAt], chains: usize) -> u64 {
    let (pushed, stored) = (newest(pushed, chains), newest(stored, chains));
    pushed.iter().zip(&stored).map(|(pushed, stored)| pushed.saturating_sub(*stored)).sum()
}

impl Measured {
    /// Each process by the events that went through it.
    fn costs(&mut self, used: &Totals) {
        let acknowledged = used.acknowledged.max(1.0);
        let stored = used.stored.max(1.0);
        self.batch_events = used.acknowledged / used.batches.max(1.0);
        self.transaction_events = used.stored / used.transactions.max(1.0);
        self.node_us = used.cpu.nodes * 1e6 / acknowledged;
        self.producer_us = used.cpu.producer * 1e6 / acknowledged;
        // It takes most of the events in or hands most of them out, whichever is more.
        self.broker_us = used.cpu.broker * 1e6 / acknowledged.max(stored);
        self.persist_us = used.cpu.persist * 1e6 / stored;
        self.postgres_us = used.cpu.postgres * 1e6 / stored;
        self.wal_bytes = used.wal_bytes / stored;
        self.pages_read = used.pages_read / stored;
    }

    /// Of all but the nodes, microseconds an event.
    pub(super) fn cpu_us(&self) -> f64 {
        self.producer_us + self.broker_us + self.persist_us + self.postgres_us
    }
}
