//! Measures what no role does: the fill of streams and buckets, clock skew, the last backup.

use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, Nats, NatsError};
use crypto_intel_service::{Context, now_us, register};
use prometheus::{Gauge, GaugeVec, Opts, Registry};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{config::AppConfig, roles::Role};

/// How often the servers are asked.
const INTERVAL: Duration = Duration::from_secs(15);
/// Key in the bucket `cursors` under which `backup` records how its last run ended.
pub(crate) const BACKUP_KEY: &str = "backup";

/// How the last backups ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupRecord {
    /// When the last complete one finished, microseconds.
    pub(crate) finished_at_us: Option<i64>,
    /// When one last failed, microseconds.
    pub(crate) failed_at_us: Option<i64>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// The record, where the server has one and this user may read it.
pub(crate) async fn backup_record(nats: &Nats) -> anyhow::Result<Option<BackupRecord>> {
    let entry = nats.kv(Bucket::Cursors).await?.get(BACKUP_KEY).await?;
    Ok(entry.map(|entry| serde_json::from_slice(&entry.value)).transpose()?)
}

/// Changes the record, whatever it was.
pub(crate) async fn record_backup(
    nats: &Nats,
    change: impl FnOnce(&mut BackupRecord),
) -> anyhow::Result<()> {
    // One that cannot be read is of another version: it is replaced.
    let mut record = backup_record(nats).await.ok().flatten().unwrap_or_default();
    change(&mut record);
    nats.kv(Bucket::Cursors).await?.put(BACKUP_KEY, serde_json::to_vec(&record)?).await?;
    Ok(())
}

/// Observes the streams and buckets of these roles until shutdown; of others their user may know nothing.
pub(crate) fn start(
    config: &AppConfig,
    roles: &[Role],
    nats: &Nats,
    context: &Context,
) -> anyhow::Result<()> {
    let specs: Vec<_> = roles.iter().map(|role| role.spec()).collect();
    let topology = config.topology()?.of_roles(&specs);
    let streams = topology.stream_names().into_iter().map(ToOwned::to_owned).collect();
    let metrics = ServerMetrics::new(&context.registry).context("register metrics")?;
    tokio::spawn(metrics.observe(nats.clone(), streams, context.shutdown.clone()));
    Ok(())
}

/// Gauges of the servers that this process speaks to.
#[derive(Debug, Clone)]
pub(crate) struct ServerMetrics {
    fill: GaugeVec,
    messages: GaugeVec,
    oldest: GaugeVec,
    skew: Gauge,
    backup: GaugeVec,
}

impl ServerMetrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let of_stream = |name: &str, help: &str| {
            register(registry, GaugeVec::new(Opts::new(name, help), &["stream", "when_full"])?)
        };
        Ok(Self {
            fill: of_stream(
                "crypto_intel_stream_fill_ratio",
                "How much of its max_bytes a stream or bucket (KV_…) holds, 0 to 1",
            )?,
            messages: of_stream(
                "crypto_intel_stream_messages",
                "Messages that a stream or bucket (KV_…) holds",
            )?,
            oldest: of_stream(
                "crypto_intel_stream_oldest_age_seconds",
                "Age of the oldest message that a stream or bucket (KV_…) holds, 0 when it is empty",
            )?,
            skew: register(
                registry,
                Gauge::new(
                    "crypto_intel_clock_skew_seconds",
                    "Clock of the NATS server minus that of this process",
                )?,
            )?,
            backup: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "crypto_intel_backup_timestamp_seconds",
                        "When `crypto-intel backup` last ended so; absent where it never did",
                    ),
                    &["outcome"],
                )?,
            )?,
        })
    }

    /// Asks the servers until the process stops.
    async fn observe(self, nats: Nats, streams: Vec<String>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look(&nats, &streams) => {}
            }
        }
    }

    fn forget<const N: usize>(&self, stream: &str, when_full: [&str; N]) {
        for when_full in when_full {
            for gauge in [&self.fill, &self.messages, &self.oldest] {
                // There may be none.
                let _ = gauge.remove_label_values(&[stream, when_full]);
            }
        }
    }

    async fn look(&self, nats: &Nats, streams: &[String]) {
        let mut states = Vec::with_capacity(streams.len());
        let mut gone = Vec::new();
        for stream in streams {
            let asked_at_us = now_us();
            let state = match nats.stream_state(stream).await {
                Ok(state) => state,
                Err(NatsError::NoStream { .. }) => {
                    gone.push(stream.as_str());
                    continue;
                }
                // A server that is away is told by every role's own probe; the last numbers stay meanwhile.
                Err(_) => continue,
            };
            // The server read its clock between our question and its answer.
            let middle_us = asked_at_us + (now_us() - asked_at_us) / 2;
            self.skew.set((state.server_time_us - middle_us) as f64 / 1e6);
            states.push((stream.as_str(), state));
        }
        // A stream that is gone keeps no numbers. Nothing is waited for from here on: a scrape must not meet a gap.
        for stream in gone {
            self.forget(stream, ["refuses", "drops"]);
        }
        for (stream, state) in states {
            let (when_full, otherwise) =
                if state.refuses_when_full { ("refuses", "drops") } else { ("drops", "refuses") };
            self.forget(stream, [otherwise]);
            let labels = [stream, when_full];
            if let Some(limit) = state.max_bytes {
                self.fill.with_label_values(&labels).set(state.bytes as f64 / limit as f64);
            }
            self.messages.with_label_values(&labels).set(state.messages as f64);
            let oldest_us = state.first_stored_at_us.unwrap_or(state.server_time_us);
            let age_us = (state.server_time_us - oldest_us).max(0);
            self.oldest.with_label_values(&labels).set(age_us as f64 / 1e6);
        }
        let may_ask = streams.contains(&Bucket::Cursors.stream());
        if may_ask && let Ok(record) = backup_record(nats).await {
            let record = record.unwrap_or_default();
            // A record that was deleted says nothing any more.
            self.backup.reset();
            for (outcome, at_us) in
                [("finished", record.finished_at_us), ("failed", record.failed_at_us)]
            {
                if let Some(at_us) = at_us {
                    self.backup.with_label_values(&[outcome]).set(at_us as f64 / 1e6);
                }
            }
        }
    }
}
