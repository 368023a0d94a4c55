//! Metrics of following chains.

use std::time::Duration;

use crypto_intel_schemas::Kind;
use crypto_intel_service::{
    prometheus::{self, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry},
    register,
};

/// From the first sight of a head to the acknowledgement of its block: one fsync to a bad day.
const LATENCY_SECONDS: &[f64] =
    &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Metrics of following chains, all chains of a family.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The stream that dead letters are of.
    stream: &'static str,
    events_published: IntCounterVec,
    blocks_acked: IntCounterVec,
    batches_acked: IntCounterVec,
    batches_refused: IntCounterVec,
    published_head: IntGaugeVec,
    finalized: IntGaugeVec,
    head_lag: IntGaugeVec,
    reorgs: IntCounterVec,
    blocks_retracted: IntCounterVec,
    watched_events: IntCounterVec,
    head_to_ack: HistogramVec,
    jumps: IntCounterVec,
    history_blocks: IntCounterVec,
    history_messages: IntCounterVec,
    history_failures: IntCounterVec,
    history_remaining: IntGaugeVec,
    history_paused: IntGaugeVec,
    verified: IntGaugeVec,
    dead_lettered: IntCounterVec,
    retraction_margin: IntGaugeVec,
}

/// Makes metrics with the names of one family.
struct Maker<'a> {
    registry: &'a Registry,
    family: &'a str,
}

impl Maker<'_> {
    fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        register(self.registry, IntCounterVec::new(self.opts(name, help), labels)?)
    }

    fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        register(self.registry, IntGaugeVec::new(self.opts(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::from(self.opts(name, help)).buckets(LATENCY_SECONDS.to_vec());
        register(self.registry, HistogramVec::new(options, &["chain"])?)
    }

    fn opts(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("crypto_intel_{}_{name}", self.family), help)
    }
}

impl Metrics {
    /// Makes and registers them; their names begin with `crypto_intel_<family>_`.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn new(
        registry: &Registry,
        family: &str,
        stream: &'static str,
    ) -> Result<Self, prometheus::Error> {
        let make = Maker { registry, family };
        let chain = ["chain"];
        Ok(Self {
            stream,
            events_published: make.counter(
                "events_published_total",
                "Events acknowledged by the stream, by kind",
                &["chain", "kind"],
            )?,
            blocks_acked: make.counter("blocks_acked_total", "Blocks acknowledged", &chain)?,
            batches_acked: make.counter("batches_acked_total", "Batches acknowledged", &chain)?,
            batches_refused: make.counter(
                "batches_refused_total",
                "Batches refused or of unknown outcome, by reason",
                &["chain", "reason"],
            )?,
            published_head: make.gauge("published_block", "Newest published block", &chain)?,
            finalized: make.gauge("finalized_block", "Highest final block", &chain)?,
            head_lag: make.gauge("head_lag_blocks", "Blocks from published to head", &chain)?,
            reorgs: make.counter("reorgs_total", "Reorganisations followed", &chain)?,
            blocks_retracted: make.counter("blocks_retracted_total", "Blocks retracted", &chain)?,
            watched_events: make.counter(
                "watch_copies_total",
                "Copies made for watched addresses",
                &chain,
            )?,
            head_to_ack: make.histogram(
                "head_to_ack_seconds",
                "From the first sight of a head to the acknowledgement of its block",
            )?,
            jumps: make.counter(
                "jumps_total",
                "Times that live left a gap to the history lane",
                &chain,
            )?,
            history_blocks: make.counter(
                "history_blocks_acked_total",
                "Blocks acknowledged on the history lane",
                &chain,
            )?,
            history_messages: make.counter(
                "history_messages_acked_total",
                "Events acknowledged on the history lane, markers included",
                &chain,
            )?,
            history_failures: make.counter(
                "history_failures_total",
                "Times that a gap could not be filled and waits to be tried again",
                &chain,
            )?,
            history_remaining: make.gauge(
                "history_remaining_blocks",
                "Blocks of queued gaps that are still to be published",
                &chain,
            )?,
            history_paused: make.gauge(
                "history_paused",
                "1 while the history lane waits for persist",
                &chain,
            )?,
            verified: make.gauge(
                "verified_block",
                "Block up to which an audit found everything stored",
                &chain,
            )?,
            dead_lettered: make.counter(
                "dead_lettered_total",
                "Foreign messages on a chain's subjects that were set aside",
                &["chain", "stream"],
            )?,
            retraction_margin: make.gauge(
                "retraction_margin_messages",
                &format!(
                    "How many messages stream {stream} still has before the oldest block that may leave the chain; below 0: events of it are gone"
                ),
                &chain,
            )?,
        })
    }

    /// The metrics of one chain.
    #[must_use]
    pub fn of_chain(&self, chain: &str) -> ChainMetrics {
        // From the start, so that the first of these events is seen as an increase.
        for rare in [&self.jumps, &self.reorgs, &self.blocks_retracted, &self.history_failures] {
            rare.with_label_values(&[chain]).inc_by(0);
        }
        self.dead_lettered.with_label_values(&[chain, self.stream]).inc_by(0);
        ChainMetrics { all: self.clone(), chain: chain.to_owned() }
    }
}

/// Metrics with the chain's label set.
#[derive(Debug, Clone)]
pub struct ChainMetrics {
    all: Metrics,
    chain: String,
}

impl ChainMetrics {
    pub(crate) fn events_published(&self, kind: Kind, count: u64) {
        let labels = [self.chain.as_str(), kind.as_str()];
        self.all.events_published.with_label_values(&labels).inc_by(count);
    }

    pub(crate) fn batch_acked(&self, blocks: u64) {
        self.all.batches_acked.with_label_values(&[&self.chain]).inc();
        self.all.blocks_acked.with_label_values(&[&self.chain]).inc_by(blocks);
    }

    pub(crate) fn batch_refused(&self, reason: &str) {
        self.all.batches_refused.with_label_values(&[self.chain.as_str(), reason]).inc();
    }

    pub(crate) fn published(&self, number: u64, finalized: u64, head: u64) {
        self.all.published_head.with_label_values(&[&self.chain]).set(to_gauge(number));
        self.all.finalized.with_label_values(&[&self.chain]).set(to_gauge(finalized));
        let lag = to_gauge(head.saturating_sub(number));
        self.all.head_lag.with_label_values(&[&self.chain]).set(lag);
    }

    pub(crate) fn reorg(&self, depth: u64) {
        self.all.reorgs.with_label_values(&[&self.chain]).inc();
        self.all.blocks_retracted.with_label_values(&[&self.chain]).inc_by(depth);
    }

    pub(crate) fn watched_events(&self, count: usize) {
        self.all.watched_events.with_label_values(&[&self.chain]).inc_by(count as u64);
    }

    pub(crate) fn jumped(&self) {
        self.all.jumps.with_label_values(&[&self.chain]).inc();
    }

    pub(crate) fn history_acked(&self, blocks: u64, events: u64) {
        self.all.history_blocks.with_label_values(&[&self.chain]).inc_by(blocks);
        self.all.history_messages.with_label_values(&[&self.chain]).inc_by(events);
    }

    pub(crate) fn history_failed(&self) {
        self.all.history_failures.with_label_values(&[&self.chain]).inc();
    }

    pub(crate) fn history_remaining(&self, blocks: u64) {
        self.all.history_remaining.with_label_values(&[&self.chain]).set(to_gauge(blocks));
    }

    pub(crate) fn history_paused(&self, paused: bool) {
        self.all.history_paused.with_label_values(&[&self.chain]).set(i64::from(paused));
    }

    pub(crate) fn verified(&self, number: u64) {
        self.all.verified.with_label_values(&[&self.chain]).set(to_gauge(number));
    }

    /// From where the oldest block that may leave begins, and the stream.
    pub(crate) fn retraction_margin(&self, begin: u64, first: u64) {
        let margin = to_gauge(begin) - to_gauge(first);
        self.all.retraction_margin.with_label_values(&[&self.chain]).set(margin);
    }

    /// This instance does not lead: the leader shows it.
    pub(crate) fn no_retraction_margin(&self) {
        // It may not have been shown yet.
        let _ = self.all.retraction_margin.remove_label_values(&[&self.chain]);
    }

    pub(crate) fn dead_lettered(&self) {
        self.all.dead_lettered.with_label_values(&[self.chain.as_str(), self.all.stream]).inc();
    }

    pub(crate) fn head_to_ack(&self, elapsed: Duration) {
        self.all.head_to_ack.with_label_values(&[&self.chain]).observe(elapsed.as_secs_f64());
    }
}

fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
