//! Drops old rows once an hour, where the server has no retention of its own.

use std::time::{Duration, Instant};

use crypto_intel_nats::Nats;
use crypto_intel_service::{Context, Probe};
use crypto_intel_store::Store;

use crate::{
    apply::with_mend,
    duty::{Duty, End, STANDING_BY},
    metrics::Metrics,
};

const EVERY: Duration = Duration::from_secs(3_600);
/// Rows that go in one transaction: so few that nobody waits for it.
const SLICE_ROWS: u32 = 10_000;

/// Drops for as long as the process runs.
#[derive(Debug)]
pub(crate) struct RetentionTask {
    pub(crate) nats: Nats,
    pub(crate) store: Store,
    pub(crate) context: Context,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
}

impl Duty for RetentionTask {
    fn lease(&self) -> String {
        "persist.retention".to_owned()
    }

    fn what(&self) -> String {
        "drop old rows".to_owned()
    }

    fn nats(&self) -> &Nats {
        &self.nats
    }

    fn context(&self) -> &Context {
        &self.context
    }

    fn standing_by(&self) {
        self.probe.healthy(STANDING_BY);
    }

    fn failed(&self, reason: String) {
        self.probe.unhealthy(reason);
    }

    async fn turn(&self) -> anyhow::Result<End> {
        loop {
            self.drop_expired().await?;
            tokio::select! {
                () = self.context.shutdown.cancelled() => return Ok(End::Shutdown),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

impl RetentionTask {
    async fn drop_expired(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let tables = self.store.expiring_tables().await.map_err(with_mend)?;
        for table in &tables {
            let mut dropped = 0;
            loop {
                let gone = self.store.drop_expired(table, SLICE_ROWS).await.map_err(with_mend)?;
                self.metrics.expired.with_label_values(&[table]).inc_by(gone);
                dropped += gone;
                if gone < u64::from(SLICE_ROWS) {
                    break;
                }
            }
            if dropped > 0 {
                tracing::info!(table, dropped, "dropped what was older than configured");
            }
        }
        let (count, seconds) = (tables.len(), started.elapsed().as_secs());
        self.probe.healthy(format!("{count} tables looked through in {seconds} s"));
        Ok(())
    }
}
