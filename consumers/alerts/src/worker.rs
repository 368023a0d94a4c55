//! One stream: read, apply, publish, and only then store the state.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_nats::{
    Nats, Notice, ReaderOptions, Start, StreamMessage, StreamReader, dead_letter,
};
use crypto_intel_schemas::{Alert, DecodeError};
use crypto_intel_service::{Backoff, Probe, now_us, retry_forever};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    engine::{Engine, state::State},
    metrics::Metrics,
    publish::publish_alerts,
    rules::RuleSet,
    snapshot::{SaveError, SnapshotStore},
    streams::SourceStream,
};

/// Messages applied between two looks at the outside.
const READ_AT_ONCE: usize = 2_000;

/// A stream without a tick for this long is not evaluated in time: `/ready` fails.
pub(crate) const TICK_LIMIT: Duration = Duration::from_secs(5);

/// How much longer a snapshot waits for the end of a block, in snapshot intervals.
const PATIENCE: u32 = 10;

/// How long the last snapshot of an orderly end may take.
const LAST_SNAPSHOT: Duration = Duration::from_secs(2);

/// Name of this role in consumers and dead letters.
pub(crate) const ROLE: &str = "alerts";

/// Why a worker ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerEnd {
    /// It was told to.
    Stopped,
    /// Another instance is active.
    Superseded,
}

/// Everything that evaluates one stream's rules.
pub(crate) struct Worker {
    pub(crate) nats: Nats,
    pub(crate) stream: SourceStream,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) instance: String,
    pub(crate) stop: CancellationToken,
}

/// What changes while a worker runs.
struct Running {
    engine: Engine,
    reader: StreamReader,
    store: SnapshotStore,
    /// Alerts that are not acknowledged yet.
    alerts: Vec<Alert>,
    saved_at: Instant,
    since_saved: u64,
}

impl Worker {
    /// Runs until told to stop, until another instance takes over, or until something cannot be
    /// mended by trying again.
    pub(crate) async fn run(self) -> anyhow::Result<WorkerEnd> {
        let Some(mut running) = self.start().await? else { return Ok(WorkerEnd::Stopped) };
        loop {
            let batch = tokio::select! {
                () = self.stop.cancelled() => break,
                batch = running.reader.next(READ_AT_ONCE) => batch.context("read stream")?,
            };
            for notice in &batch.notices {
                self.take_notice(&mut running, *notice);
            }
            self.count(&running, batch.messages.len());
            match self.apply_all(&mut running, &batch.messages).await? {
                Some(end) => return Ok(end),
                None => continue,
            }
        }
        // Nothing is under way here: every alert of what was applied is acknowledged.
        let (bytes, _) = running.store.encode(running.engine.state());
        let saved = tokio::time::timeout(LAST_SNAPSHOT, running.store.save(&bytes)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(stream = self.stream.name(), error = %format!("{error:#}"), "last snapshot failed, some messages are evaluated again");
        }
        Ok(WorkerEnd::Stopped)
    }

    async fn start(&self) -> anyhow::Result<Option<Running>> {
        let slug = self.stream.slug();
        let loaded = retry_forever("load rule state", Backoff::default(), &self.stop, || {
            SnapshotStore::load(&self.nats, slug)
        });
        let Some(loaded) = loaded.await else { return Ok(None) };
        let (store, state) = loaded.context("load rule state")?;
        let lookback_us = i64::try_from(self.config.lookback_seconds.saturating_mul(1_000_000));
        let (start, state) = match state {
            Some(state) => (Start::After(state.position), state),
            None => {
                let from_us = now_us().saturating_sub(lookback_us.unwrap_or(i64::MAX)).max(1);
                (Start::Time(from_us), State::empty())
            }
        };
        let options = ReaderOptions::new(
            self.stream.name(),
            format!("{ROLE}-{}-{slug}", self.instance),
            start,
        )
        .filters(self.rules.filters(self.stream));
        let opened = retry_forever("read stream", Backoff::default(), &self.stop, || {
            StreamReader::open(&self.nats, options.clone())
        });
        let Some(reader) = opened.await else { return Ok(None) };
        let reader = reader.context("open reader")?;
        tracing::info!(stream = self.stream.name(), ?start, "evaluating rules");
        let engine = Engine::with_state(Arc::clone(&self.rules), self.stream, &self.metrics, state);
        Ok(Some(Running {
            engine,
            reader,
            store,
            alerts: Vec::new(),
            saved_at: Instant::now(),
            since_saved: 0,
        }))
    }

    /// Applies messages, publishes their alerts and stores the state where it is due; `Some` when
    /// the worker must end.
    async fn apply_all(
        &self,
        running: &mut Running,
        messages: &[StreamMessage],
    ) -> anyhow::Result<Option<WorkerEnd>> {
        for message in messages {
            running.since_saved += 1;
            let between_blocks = match running.engine.apply(message, &mut running.alerts) {
                Ok(applied) => {
                    if applied.tick {
                        self.take_tick(running);
                    }
                    applied.between_blocks
                }
                Err(error) => {
                    if !self.bury(message, &error).await? {
                        return Ok(Some(WorkerEnd::Stopped));
                    }
                    false
                }
            };
            if between_blocks
                && self.is_due(running, 1)
                && let Some(end) = self.flush_and_save(running).await?
            {
                return Ok(Some(end));
            }
        }
        if !self.publish(running).await? {
            return Ok(Some(WorkerEnd::Stopped));
        }
        if self.is_due(running, PATIENCE) {
            return self.flush_and_save(running).await;
        }
        Ok(None)
    }

    /// Publishes what is to be told; `false` when told to stop.
    async fn publish(&self, running: &mut Running) -> anyhow::Result<bool> {
        let published =
            publish_alerts(&self.nats, &mut running.alerts, &self.metrics, &self.stop).await?;
        let Some(contradicted) = published else { return Ok(false) };
        contradicted.iter().for_each(|alert| running.engine.disown(alert));
        Ok(true)
    }

    fn is_due(&self, running: &Running, patience: u32) -> bool {
        let interval = Duration::from_millis(self.config.snapshot_interval_ms);
        running.since_saved >= self.config.snapshot_messages.saturating_mul(u64::from(patience))
            || running.since_saved > 0 && running.saved_at.elapsed() >= interval * patience
    }

    async fn flush_and_save(&self, running: &mut Running) -> anyhow::Result<Option<WorkerEnd>> {
        if !self.publish(running).await? {
            return Ok(Some(WorkerEnd::Stopped));
        }
        let slug = self.stream.slug();
        let (bytes, gone) = running.store.encode(running.engine.state());
        if gone > 0 {
            self.metrics.crowded_out.inc_by(gone);
            tracing::warn!(
                stream = self.stream.name(),
                gone,
                "rule state is too large, the oldest of it was left out"
            );
        }
        let mut delays = Backoff::default().delays();
        loop {
            let error = match running.store.save(&bytes).await {
                Ok(()) => break,
                Err(error @ SaveError::Superseded { .. }) => {
                    tracing::warn!(error = %format!("{error:#}"), "stepping back");
                    return Ok(Some(WorkerEnd::Superseded));
                }
                Err(error) => error,
            };
            if !crypto_intel_service::Retryable::is_retryable(&error) {
                return Err(error).context("store rule state");
            }
            tracing::warn!(stream = self.stream.name(), error = %format!("{error:#}"), "rule state not stored, trying again");
            let delay = delays.next().unwrap_or(TICK_LIMIT);
            tokio::select! {
                () = self.stop.cancelled() => return Ok(Some(WorkerEnd::Stopped)),
                () = tokio::time::sleep(delay) => {}
            }
        }
        running.saved_at = Instant::now();
        running.since_saved = 0;
        self.metrics.snapshots.with_label_values(&[slug]).inc();
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        self.metrics.snapshot_bytes.with_label_values(&[slug]).set(size);
        Ok(None)
    }

    /// A message that is no event of ours goes to the dead letters; `false` when told to stop.
    async fn bury(&self, message: &StreamMessage, error: &DecodeError) -> anyhow::Result<bool> {
        let text = format!("{:#}", ErrorChain(error));
        let buried = retry_forever("dead-letter message", Backoff::default(), &self.stop, || {
            dead_letter(&self.nats, ROLE, self.stream.name(), message, &text)
        });
        let Some(buried) = buried.await else { return Ok(false) };
        buried.context("dead-letter message")?;
        self.metrics.dead_lettered.with_label_values(&[self.stream.slug()]).inc();
        tracing::warn!(
            stream = self.stream.name(),
            subject = message.subject,
            sequence = message.sequence,
            error = text,
            "message is no event of ours, dead-lettered"
        );
        Ok(true)
    }

    fn take_notice(&self, running: &mut Running, notice: Notice) {
        let (name, slug) = (self.stream.name(), self.stream.slug());
        match notice {
            Notice::LostRange { from, to } => {
                self.metrics.lost.with_label_values(&[slug]).inc_by(to.saturating_sub(from) + 1);
                tracing::error!(
                    stream = name,
                    from,
                    to,
                    "messages were gone before rules saw them, and were not evaluated: give the stream more room in [streams.streams.NAME]"
                );
            }
            Notice::StreamReset { was, first_sequence } => {
                self.metrics.resets.with_label_values(&[slug]).inc();
                tracing::error!(
                    stream = name,
                    was = was.sequence,
                    first_sequence,
                    "stream was made anew, rules start from empty state"
                );
                running.engine.reset();
            }
        }
    }

    fn take_tick(&self, running: &Running) {
        let age_us = now_us().saturating_sub(running.engine.tick_us()).max(0);
        let age = Duration::from_micros(age_us.unsigned_abs());
        let slug = self.stream.slug();
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.metrics.lag_seconds.with_label_values(&[slug]).set(seconds);
        if age <= TICK_LIMIT {
            self.probe.healthy(format!("at {}", running.engine.position().sequence));
        } else {
            let pending = running.reader.pending();
            self.probe.unhealthy(format!("{seconds} s behind, {pending} messages to go"));
        }
    }

    fn count(&self, running: &Running, messages: usize) {
        let slug = self.stream.slug();
        self.metrics.received.with_label_values(&[slug]).inc_by(messages as u64);
        let pending = i64::try_from(running.reader.pending()).unwrap_or(i64::MAX);
        self.metrics.lag_messages.with_label_values(&[slug]).set(pending);
    }
}

/// An error with its sources in one line.
struct ErrorChain<'e>(&'e dyn std::error::Error);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
