//! Drops old rows once an hour, where the server has no retention of its own.

use std::time::{Duration, Instant};

use crypto_intel_nats::Leadership;
use crypto_intel_store::{Store, policies};

use super::LeaderTask;
use crate::{hint::with_hint, metrics::Metrics};

const INTERVAL: Duration = Duration::from_secs(3_600);
/// Rows that one transaction drops: few enough that no writer waits for it.
const SLICE_ROWS: u32 = 10_000;

/// Drops old rows for as long as the process runs.
#[derive(Debug)]
pub(crate) struct RetentionTask {
    pub(crate) leadership: Leadership,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
}

impl LeaderTask for RetentionTask {
    fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn purpose(&self) -> String {
        "drop old rows".to_owned()
    }

    async fn run_term(&self) -> anyhow::Result<()> {
        loop {
            // A slice that is interrupted rolls back and is dropped by the next run.
            self.drop_expired().await?;
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl RetentionTask {
    async fn drop_expired(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let tables = policies::expiring_tables(&self.store).await.map_err(with_hint)?;
        for table in &tables {
            let mut dropped = 0;
            loop {
                let slice = policies::drop_expired(&self.store, table, SLICE_ROWS).await;
                let slice = slice.map_err(with_hint)?;
                self.metrics.expired.with_label_values(&[table]).inc_by(slice);
                dropped += slice;
                if slice < u64::from(SLICE_ROWS) {
                    break;
                }
            }
            if dropped > 0 {
                tracing::info!(table, dropped, "dropped rows that are older than configured");
            }
        }
        let (count, seconds) = (tables.len(), started.elapsed().as_secs());
        self.leadership.probe().healthy(format!("{count} tables looked through in {seconds} s"));
        Ok(())
    }
}
