pub(crate) mod nodes;

use std::time::Duration;

use crypto_intel_schemas::Kind;
use crypto_intel_service::{
    prometheus::{self, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry},
    register,
};

use self::nodes::NodeMetrics;

/// From the first sight of a head to the acknowledgement of its block: one fsync to a bad day.
const LATENCY_SECONDS: &[f64] =
    &[0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Metrics of the EVM producer, all chains.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    heads: IntCounterVec,
    endpoint_head: IntGaugeVec,
    reconnects: IntCounterVec,
    removed_hints: IntCounterVec,
    untrue_answers: IntCounterVec,
    request_failures: IntCounterVec,
    hedged: IntCounterVec,
    untraced: IntCounterVec,
    events_published: IntCounterVec,
    blocks_acked: IntCounterVec,
    batches_acked: IntCounterVec,
    batches_refused: IntCounterVec,
    published_head: IntGaugeVec,
    finalized: IntGaugeVec,
    head_lag: IntGaugeVec,
    reorgs: IntCounterVec,
    blocks_retracted: IntCounterVec,
    oddities: IntCounterVec,
    watched_addresses: IntGaugeVec,
    watched_events: IntCounterVec,
    token_lookups: IntCounterVec,
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
    nodes: NodeMetrics,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric =
                IntCounterVec::new(Opts::new(format!("crypto_intel_evm_{name}"), help), labels)?;
            register(registry, metric)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let metric =
                IntGaugeVec::new(Opts::new(format!("crypto_intel_evm_{name}"), help), labels)?;
            register(registry, metric)
        };
        let head_to_ack = HistogramVec::new(
            HistogramOpts::new(
                "crypto_intel_evm_head_to_ack_seconds",
                "From the first sight of a head to the acknowledgement of its block",
            )
            .buckets(LATENCY_SECONDS.to_vec()),
            &["chain"],
        )?;
        let head_to_ack = register(registry, head_to_ack)?;
        let endpoint = ["chain", "endpoint"];
        let endpoint_reason = ["chain", "endpoint", "reason"];
        Ok(Self {
            heads: counter("heads_received_total", "New heads received", &endpoint)?,
            endpoint_head: gauge("endpoint_head_block", "Newest block of an endpoint", &endpoint)?,
            reconnects: counter(
                "reconnects_total",
                "Connections lost, by reason",
                &endpoint_reason,
            )?,
            removed_hints: counter(
                "removed_hints_total",
                "Blocks that an endpoint's removed logs said to have left the chain",
                &endpoint,
            )?,
            untrue_answers: counter(
                "untrue_answers_total",
                "Answers that cannot be true, by reason",
                &endpoint_reason,
            )?,
            request_failures: counter(
                "request_failures_total",
                "Requests that failed, by reason",
                &endpoint_reason,
            )?,
            hedged: counter(
                "hedged_requests_total",
                "Requests to this endpoint because another one was late",
                &endpoint,
            )?,
            untraced: counter(
                "blocks_without_traces_total",
                "Blocks published without the payments inside their contracts, which were to be had from no endpoint in time",
                &["chain"],
            )?,
            events_published: counter(
                "events_published_total",
                "Events acknowledged by the stream, by kind",
                &["chain", "kind"],
            )?,
            blocks_acked: counter("blocks_acked_total", "Blocks acknowledged", &["chain"])?,
            batches_acked: counter("batches_acked_total", "Batches acknowledged", &["chain"])?,
            batches_refused: counter(
                "batches_refused_total",
                "Batches refused or of unknown outcome, by reason",
                &["chain", "reason"],
            )?,
            published_head: gauge("published_block", "Newest published block", &["chain"])?,
            finalized: gauge("finalized_block", "Highest final block", &["chain"])?,
            head_lag: gauge("head_lag_blocks", "Blocks from published to head", &["chain"])?,
            reorgs: counter("reorgs_total", "Reorganisations followed", &["chain"])?,
            blocks_retracted: counter("blocks_retracted_total", "Blocks retracted", &["chain"])?,
            oddities: counter(
                "decode_oddities_total",
                "Known events in an unknown form, published as raw logs",
                &["chain", "reason"],
            )?,
            watched_addresses: gauge(
                "watched_addresses",
                "Addresses on the watch-list, by chain or `all`",
                &["chain"],
            )?,
            watched_events: counter(
                "watch_copies_total",
                "Copies made for watched addresses",
                &["chain"],
            )?,
            token_lookups: counter(
                "token_lookups_total",
                "Tokens that were looked up, by where or how it ended",
                &["chain", "outcome"],
            )?,
            head_to_ack,
            jumps: counter(
                "jumps_total",
                "Times that live left a gap to the history lane",
                &["chain"],
            )?,
            history_blocks: counter(
                "history_blocks_acked_total",
                "Blocks acknowledged on the history lane",
                &["chain"],
            )?,
            history_messages: counter(
                "history_messages_acked_total",
                "Messages acknowledged on the history lane, markers included",
                &["chain"],
            )?,
            history_failures: counter(
                "history_failures_total",
                "Times that a gap could not be filled and waits to be tried again",
                &["chain"],
            )?,
            history_remaining: gauge(
                "history_remaining_blocks",
                "Blocks of queued gaps that are still to be published",
                &["chain"],
            )?,
            history_paused: gauge(
                "history_paused",
                "1 while the history lane waits for persist",
                &["chain"],
            )?,
            verified: gauge(
                "verified_block",
                "Block up to which an audit found everything stored",
                &["chain"],
            )?,
            dead_lettered: counter(
                "dead_lettered_total",
                "Foreign messages on a chain's subjects that were set aside",
                &["chain", "stream"],
            )?,
            retraction_margin: gauge(
                "retraction_margin_messages",
                "How many messages stream EVM still has before the oldest block that may leave the chain; below 0: events of it are gone",
                &["chain"],
            )?,
            nodes: NodeMetrics::new(registry)?,
        })
    }

    pub(crate) fn watched_addresses(&self, chain: &str, count: usize) {
        self.watched_addresses.with_label_values(&[chain]).set(to_gauge(count as u64));
    }

    /// The metrics of one chain.
    pub(crate) fn of_chain(&self, chain: &str) -> ChainMetrics {
        // From the start, so that the first of these events is seen as an increase.
        for rare in [&self.jumps, &self.reorgs, &self.blocks_retracted, &self.history_failures] {
            rare.with_label_values(&[chain]).inc_by(0);
        }
        self.dead_lettered.with_label_values(&[chain, "EVM"]).inc_by(0);
        ChainMetrics { all: self.clone(), chain: chain.to_owned() }
    }
}

/// Metrics with the chain's label set.
#[derive(Debug, Clone)]
pub(crate) struct ChainMetrics {
    all: Metrics,
    chain: String,
}

impl ChainMetrics {
    /// Metrics of endpoints.
    pub(crate) fn nodes(&self) -> NodeMetrics {
        self.all.nodes.clone()
    }

    pub(crate) fn head(&self, endpoint: &str, number: u64) {
        let labels = [self.chain.as_str(), endpoint];
        self.all.heads.with_label_values(&labels).inc();
        self.all.endpoint_head.with_label_values(&labels).set(to_gauge(number));
    }

    pub(crate) fn reconnects(&self, endpoint: &str, reason: &str) {
        self.all.reconnects.with_label_values(&[self.chain.as_str(), endpoint, reason]).inc();
    }

    pub(crate) fn removed_hint(&self, endpoint: &str) {
        self.all.removed_hints.with_label_values(&[self.chain.as_str(), endpoint]).inc();
    }

    pub(crate) fn untrue_answers(&self, endpoint: &str, reason: &str) {
        self.all.untrue_answers.with_label_values(&[self.chain.as_str(), endpoint, reason]).inc();
    }

    pub(crate) fn request_failures(&self, endpoint: &str, reason: &str) {
        self.all.request_failures.with_label_values(&[self.chain.as_str(), endpoint, reason]).inc();
    }

    pub(crate) fn hedged(&self, endpoint: &str) {
        self.all.hedged.with_label_values(&[self.chain.as_str(), endpoint]).inc();
    }

    pub(crate) fn untraced(&self) {
        self.all.untraced.with_label_values(&[&self.chain]).inc();
    }

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

    pub(crate) fn oddity(&self, reason: &str) {
        self.all.oddities.with_label_values(&[self.chain.as_str(), reason]).inc();
    }

    pub(crate) fn watched_events(&self, count: usize) {
        self.all.watched_events.with_label_values(&[&self.chain]).inc_by(count as u64);
    }

    pub(crate) fn token_lookups(&self, outcome: &str, count: usize) {
        let labels = [self.chain.as_str(), outcome];
        self.all.token_lookups.with_label_values(&labels).inc_by(count as u64);
    }

    pub(crate) fn jumped(&self) {
        self.all.jumps.with_label_values(&[&self.chain]).inc();
    }

    pub(crate) fn history_acked(&self, blocks: u64, messages: u64) {
        self.all.history_blocks.with_label_values(&[&self.chain]).inc_by(blocks);
        self.all.history_messages.with_label_values(&[&self.chain]).inc_by(messages);
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

    /// Nobody knows it here.
    pub(crate) fn no_retraction_margin(&self) {
        // Not there yet is as good.
        let _ = self.all.retraction_margin.remove_label_values(&[&self.chain]);
    }

    pub(crate) fn dead_lettered(&self) {
        self.all.dead_lettered.with_label_values(&[self.chain.as_str(), "EVM"]).inc();
    }

    pub(crate) fn head_to_ack(&self, elapsed: Duration) {
        self.all.head_to_ack.with_label_values(&[&self.chain]).observe(elapsed.as_secs_f64());
    }
}

fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
