//! What was used and done at one moment, and between two of them.

use std::{ops::Sub, time::Instant};

use super::servers::Servers;
use crate::usage::{Usage, cpu_seconds_of_tree, run_seconds};

/// CPU time of each process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cpu {
    pub(super) nodes: f64,
    pub(super) producer: f64,
    pub(super) broker: f64,
    pub(super) persist: f64,
    /// Without what the polls of this program take.
    pub(super) postgres: f64,
}

/// Everything so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Snapshot {
    at: Instant,
    totals: Totals,
}

/// Sums, either so far or between two snapshots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub(super) seconds: f64,
    pub(super) cpu: Cpu,
    /// Events acknowledged by the stream, markers included.
    pub(super) acknowledged: f64,
    blocks: f64,
    pub(super) batches: f64,
    /// Events committed.
    pub(super) stored: f64,
    pub(super) transactions: f64,
    pub(super) wal_bytes: f64,
    /// Pages that PostgreSQL did not find in its own memory.
    pub(super) pages_read: f64,
}

impl Snapshot {
    pub(super) async fn take(servers: &mut Servers<'_>) -> anyhow::Result<Self> {
        let (produced, stored) = (servers.produced().await?, servers.stored().await?);
        let connection = &servers.tables.connection;
        let wal = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
        let pages = "SELECT blks_read FROM pg_stat_database WHERE datname = current_database()";
        let cpu = |pid: u32| Usage::of(pid).cpu_seconds;
        let polls = run_seconds(servers.watch.backend)?;
        let totals = Totals {
            seconds: 0.0,
            acknowledged: servers.acknowledged().await?,
            blocks: produced.blocks as f64,
            batches: produced.batches as f64,
            stored: stored.events as f64,
            transactions: stored.batches as f64,
            wal_bytes: connection.number(wal).await? as f64,
            pages_read: connection.number(pages).await? as f64,
            cpu: Cpu {
                nodes: cpu(servers.nodes.pid()),
                producer: cpu(servers.producer.pid()),
                broker: cpu(servers.broker.server.pid()),
                persist: servers.persist.as_ref().map_or(0.0, |persist| cpu(persist.pid())),
                postgres: cpu_seconds_of_tree(servers.tables.database.server.pid()) - polls,
            },
        };
        Ok(Self { at: Instant::now(), totals })
    }

    /// Events acknowledged so far.
    pub(super) const fn acknowledged(&self) -> f64 {
        self.totals.acknowledged
    }

    /// Of the blocks acknowledged so far; to be taken while no batch is under way.
    pub(super) fn events_per_block(&self) -> f64 {
        self.totals.acknowledged / self.totals.blocks.max(1.0)
    }

    /// What came after an earlier one.
    pub(super) fn since(&self, earlier: &Self) -> Totals {
        let (now, then) = (&self.totals, &earlier.totals);
        Totals {
            seconds: self.at.duration_since(earlier.at).as_secs_f64(),
            cpu: now.cpu - then.cpu,
            acknowledged: now.acknowledged - then.acknowledged,
            blocks: now.blocks - then.blocks,
            batches: now.batches - then.batches,
            stored: now.stored - then.stored,
            transactions: now.transactions - then.transactions,
            wal_bytes: now.wal_bytes - then.wal_bytes,
            pages_read: now.pages_read - then.pages_read,
        }
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            nodes: self.nodes - other.nodes,
            producer: self.producer - other.producer,
            broker: self.broker - other.broker,
            persist: self.persist - other.persist,
            postgres: self.postgres - other.postgres,
        }
    }
}
