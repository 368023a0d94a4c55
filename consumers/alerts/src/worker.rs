//! One stream: read, apply, publish, and only then store the state.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_nats::{
    Nats, Notice, ReaderOptions, Start, StreamMessage, StreamReader, dead_letter,
};
use crypto_intel_schemas::{Alert, DecodeError};
use crypto_intel_service::{Probe, error_chain, now_us, retry, unless_stopped};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    engine::{Engine, state::State},
    metrics::Metrics,
    publish::publish_alerts,
    rules::RuleSet,
    sets::{InForce, Sets},
    snapshot::SnapshotStore,
    streams::RuleStream,
    ticks::max_tick_age,
};

/// Messages applied at once.
const MAX_BATCH_MESSAGES: usize = 2_000;

/// A snapshot waits for the end of a block so many snapshot intervals at most.
const MAX_LATE_INTERVALS: u32 = 10;

/// How long the last snapshot of an orderly stop may take.
const LAST_SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);

/// Name of this role in consumers and dead letters.
pub(crate) const ROLE: &str = "alerts";

/// Everything that evaluates one stream's rules.
pub(crate) struct Worker {
    pub(crate) nats: Nats,
    pub(crate) stream: RuleStream,
    /// What is in force where nothing is known of the stream.
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) sets: Arc<Sets>,
    pub(crate) config: Config,
    pub(crate) metrics: Metrics,
    pub(crate) probe: Probe,
    pub(crate) instance: String,
    pub(crate) stop: CancellationToken,
}

/// What changes while a worker runs.
struct Running {
    engine: Engine,
    in_force: InForce,
    reader: StreamReader,
    store: SnapshotStore,
    /// Alerts that are not acknowledged yet.
    alerts: Vec<Alert>,
    /// Whether messages are being applied whose alerts or dead letters may not be stored yet.
    is_applying: bool,
    saved_at: Instant,
    since_saved: u64,
}

impl Worker {
    /// Runs until told to stop, until another instance takes over, or until something fails for
    /// good.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut running = unless_stopped(&self.stop, self.start()).await??;
        if let Ok(ended) = unless_stopped(&self.stop, self.evaluate(&mut running)).await {
            return ended.map(|never| match never {});
        }
        // Where nothing is under way, a snapshot saves the next start some messages.
        if !running.is_applying {
            let snapshot = running.store.take(running.engine.state_mut());
            let saved =
                tokio::time::timeout(LAST_SNAPSHOT_TIMEOUT, running.store.save(&snapshot)).await;
            if let Ok(Err(error)) = saved {
                tracing::warn!(stream = self.stream.name(), error = %format!("{error:#}"), "last snapshot failed, some messages are evaluated again");
            }
        }
        Ok(())
    }

    /// Reads and applies. Cancel-safe: what was applied without a snapshot is applied again.
    async fn evaluate(&self, running: &mut Running) -> anyhow::Result<Infallible> {
        loop {
            let batch = running.reader.next(MAX_BATCH_MESSAGES).await.context("read stream")?;
            running.is_applying = true;
            for notice in &batch.notices {
                self.handle_notice(running, *notice).await?;
            }
            self.count(running, batch.messages.len());
            self.apply_all(running, &batch.messages).await?;
            running.is_applying = false;
        }
    }

    async fn start(&self) -> anyhow::Result<Running> {
        let slug = self.stream.slug();
        let (store, state) = retry("load rule state", || SnapshotStore::load(&self.nats, slug))
            .await
            .context("load rule state")?;
        let lookback_us = i64::try_from(self.config.lookback_seconds.saturating_mul(1_000_000));
        let sequence = state.as_ref().map(|state| state.position.sequence);
        let missing = self.metrics.sets_missing.with_label_values(&[slug]);
        let in_force =
            InForce::load(&self.sets, self.stream, &self.rules, sequence, missing).await?;
        let (start, state) = match state {
            Some(state) => (Start::After(state.position), state),
            None => {
                let from_us = now_us().saturating_sub(lookback_us.unwrap_or(i64::MAX)).max(1);
                (Start::Time(from_us), State::empty())
            }
        };
        let rules = Arc::clone(in_force.rules());
        let reader = self.open_reader(&rules, start).await?;
        if max_tick_age(self.stream).is_none() {
            self.probe.healthy("reading");
        }
        tracing::info!(stream = self.stream.name(), ?start, "evaluating rules");
        let engine = Engine::with_state(rules, self.stream, &self.metrics, state);
        Ok(Running {
            engine,
            in_force,
            reader,
            store,
            alerts: Vec::new(),
            is_applying: false,
            saved_at: Instant::now(),
            since_saved: 0,
        })
    }

    async fn open_reader(&self, rules: &RuleSet, start: Start) -> anyhow::Result<StreamReader> {
        let name = format!("{ROLE}-{}-{}", self.instance, self.stream.slug());
        let options =
            ReaderOptions::new(self.stream.name(), name, start).filters(rules.filters(self.stream));
        retry("read stream", || StreamReader::open(&self.nats, options.clone()))
            .await
            .context("open reader")
    }

    /// Puts the rules in force that a tick asked for. Returns whether the reader was opened again: what it read ahead
    /// comes once more, with what the new rules need.
    async fn switch(&self, running: &mut Running, sequence: u64) -> anyhow::Result<bool> {
        let before = running.in_force.rules().filters(self.stream);
        let rules = Arc::clone(running.in_force.take(sequence).await?);
        let after = rules.filters(self.stream);
        tracing::info!(
            stream = self.stream.name(),
            sequence,
            set = rules.digest(),
            "changed rules are in force"
        );
        self.metrics.sets_taken.with_label_values(&[self.stream.slug()]).inc();
        running.engine.switch(Arc::clone(&rules), &self.metrics, &mut running.alerts);
        if before == after {
            return Ok(false);
        }
        let start = Start::After(running.engine.position());
        running.reader = self.open_reader(&rules, start).await?;
        Ok(true)
    }

    /// Applies messages, publishes their alerts and stores the state where it is due.
    async fn apply_all(
        &self,
        running: &mut Running,
        messages: &[StreamMessage],
    ) -> anyhow::Result<()> {
        for message in messages {
            running.since_saved += 1;
            running.in_force.see(message).await?;
            let between_blocks = match running.engine.apply(message, &mut running.alerts) {
                Ok(applied) => {
                    if applied.tick {
                        self.handle_tick(running);
                    }
                    applied.between_blocks
                }
                Err(error) => {
                    self.dead_letter(message, &error).await?;
                    false
                }
            };
            if running.in_force.is_due(between_blocks, message.stored_at_us)
                && self.switch(running, message.sequence).await?
            {
                break;
            }
            if between_blocks && self.is_due(running, 1) {
                self.publish_and_save(running).await?;
            }
        }
        self.publish(running).await?;
        if self.is_due(running, MAX_LATE_INTERVALS) {
            self.publish_and_save(running).await?;
        }
        Ok(())
    }

    async fn publish(&self, running: &mut Running) -> anyhow::Result<()> {
        let contradicted = publish_alerts(&self.nats, &mut running.alerts, &self.metrics).await?;
        contradicted.iter().for_each(|alert| running.engine.discard_alert(alert));
        Ok(())
    }

    fn is_due(&self, running: &Running, intervals: u32) -> bool {
        let interval = Duration::from_millis(self.config.snapshot_interval_ms);
        running.since_saved >= self.config.snapshot_messages.saturating_mul(u64::from(intervals))
            || running.since_saved > 0 && running.saved_at.elapsed() >= interval * intervals
    }

    async fn publish_and_save(&self, running: &mut Running) -> anyhow::Result<()> {
        self.publish(running).await?;
        let slug = self.stream.slug();
        let snapshot = running.store.take(running.engine.state_mut());
        running.store.save(&snapshot).await.context("store rule state")?;
        running.saved_at = Instant::now();
        running.since_saved = 0;
        self.metrics.snapshots.with_label_values(&[slug]).inc();
        let bytes: usize = snapshot.iter().map(|(_, body)| body.len()).sum();
        let size = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.snapshot_bytes.with_label_values(&[slug]).set(size);
        Ok(())
    }

    /// Keeps a message that is not one of our events as a dead letter.
    async fn dead_letter(
        &self,
        message: &StreamMessage,
        error: &DecodeError,
    ) -> anyhow::Result<()> {
        let text = error_chain(error);
        retry("dead-letter message", || {
            dead_letter(&self.nats, ROLE, self.stream.name(), message, &text)
        })
        .await
        .context("dead-letter message")?;
        self.metrics.dead_lettered.with_label_values(&[self.stream.slug()]).inc();
        tracing::warn!(
            stream = self.stream.name(),
            subject = message.subject,
            sequence = message.sequence,
            error = text,
            "message is not one of our events, kept as a dead letter"
        );
        Ok(())
    }

    async fn handle_notice(&self, running: &mut Running, notice: Notice) -> anyhow::Result<()> {
        let (name, slug) = (self.stream.name(), self.stream.slug());
        match notice {
            Notice::LostRange { from, to } => {
                self.metrics.lost.with_label_values(&[slug]).inc_by(to.saturating_sub(from) + 1);
                tracing::error!(
                    stream = name,
                    from,
                    to,
                    "messages were dropped before rules read them, and were not evaluated: enlarge the stream in [streams.streams.NAME]"
                );
            }
            Notice::StreamReset { was, first_sequence } => {
                self.metrics.resets.with_label_values(&[slug]).inc();
                tracing::error!(
                    stream = name,
                    was = was.sequence,
                    first_sequence,
                    "stream was recreated, rules start from empty state"
                );
                running.engine.reset();
                running.in_force.restart().await?;
            }
        }
        Ok(())
    }

    fn handle_tick(&self, running: &Running) {
        let age_us = now_us().saturating_sub(running.engine.tick_us()).max(0);
        let age = Duration::from_micros(age_us.unsigned_abs());
        let slug = self.stream.slug();
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.metrics.lag_seconds.with_label_values(&[slug]).set(seconds);
        if max_tick_age(self.stream).is_none_or(|limit| age <= limit) {
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
