use std::{collections::BTreeMap, sync::Arc};

use crypto_intel_nats::Nats;
use crypto_intel_service::Context;
use crypto_intel_store::Table;
use prometheus::IntCounterVec;

use crate::{metrics::Metrics, status::Status};

/// How far a replay has come. Clones share their state.
#[derive(Debug, Clone)]
pub struct Progress {
    stream: String,
    metrics: Metrics,
    status: Arc<Status>,
}

/// What was done with a stream's messages in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Messages read and applied.
    pub messages: u64,
    /// New rows, by table.
    pub rows: BTreeMap<String, u64>,
    /// Blocks that are not canonical, whose rows were deleted or left out.
    pub dropped_blocks: u64,
    /// Messages that can never be stored.
    pub dead_lettered: u64,
    /// Ranges that left the stream before they were read.
    pub lost_ranges: u64,
}

impl Progress {
    /// With metrics of its own: a replay is not counted in those of persist.
    pub(crate) fn new(stream: &str, nats: &Nats) -> anyhow::Result<Self> {
        let context = Context::new("replay");
        let metrics = Metrics::new(&context.registry)?;
        let probe = Arc::new(context.health.probe("replay", None));
        let status = Arc::new(Status::new(stream, nats, probe, &metrics, u64::MAX));
        Ok(Self { stream: stream.to_owned(), metrics, status })
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Sequence of the last message applied.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.status.applied_sequence()
    }

    /// Why the last attempt to store failed, until one succeeds.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.status.last_error()
    }

    /// What was done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of_stream = |counter: &IntCounterVec| counter.with_label_values(&[&self.stream]).get();
        let rows = Table::ALL.into_iter().map(|table| {
            (table.name().to_owned(), self.metrics.rows.with_label_values(&[table.name()]).get())
        });
        Counts {
            messages: of_stream(&self.metrics.applied),
            rows: rows.filter(|(_, rows)| *rows > 0).collect(),
            dropped_blocks: of_stream(&self.metrics.dropped_blocks),
            dead_lettered: of_stream(&self.metrics.dead_lettered),
            lost_ranges: of_stream(&self.metrics.lost_ranges),
        }
    }
}
