mod balances;
pub(crate) mod nodes;

use crypto_intel_service::{
    prometheus::{self, IntCounterVec, IntGaugeVec, Opts, Registry},
    register,
};

use self::{balances::BalanceMetrics, nodes::NodeMetrics};

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
    oddities: IntCounterVec,
    watched_addresses: IntGaugeVec,
    labelled_addresses: IntGaugeVec,
    token_lookups: IntCounterVec,
    explorer_requests: IntCounterVec,
    explorer_doubts: IntCounterVec,
    balances: BalanceMetrics,
    nodes: NodeMetrics,
}

impl Metrics {
    /// Creates and registers the metrics.
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
                "Blocks published without the payments inside their contracts, because no endpoint traced them in time",
                &["chain"],
            )?,
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
            labelled_addresses: gauge(
                "labelled_addresses",
                "Addresses with labels, shipped and imported",
                &[],
            )?,
            token_lookups: counter(
                "token_lookups_total",
                "Tokens that were looked up, by where or how it ended",
                &["chain", "outcome"],
            )?,
            explorer_requests: counter(
                "explorer_requests_total",
                "Requests to explorers, by how they ended",
                &["chain", "explorer", "outcome"],
            )?,
            explorer_doubts: counter(
                "explorer_doubts_total",
                "Things that an explorer says of a watched address and the chain's block does not have",
                &["chain", "explorer"],
            )?,
            balances: BalanceMetrics::new(registry)?,
            nodes: NodeMetrics::new(registry)?,
        })
    }

    pub(crate) fn labelled_addresses(&self, count: usize) {
        self.labelled_addresses.with_label_values::<&str>(&[]).set(to_gauge(count as u64));
    }

    pub(crate) fn watched_addresses(&self, chain: &str, count: usize) {
        self.watched_addresses.with_label_values(&[chain]).set(to_gauge(count as u64));
    }

    /// The metrics of one chain.
    pub(crate) fn of_chain(&self, chain: &str) -> ChainMetrics {
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
    /// Requests to explorers, by chain, explorer and outcome.
    pub(crate) fn explorer_requests(&self) -> &IntCounterVec {
        &self.all.explorer_requests
    }

    pub(crate) fn explorer_doubt(&self, explorer: &str) {
        self.all.explorer_doubts.with_label_values(&[self.chain.as_str(), explorer]).inc();
    }

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

    pub(crate) fn oddity(&self, reason: &str) {
        self.all.oddities.with_label_values(&[self.chain.as_str(), reason]).inc();
    }

    /// Counts a balance by what came of reading it.
    pub(crate) fn balance_read(&self, outcome: &str) {
        self.all.balances.read(&self.chain, outcome);
    }

    /// Counts a turn that read no balances although there were some to read.
    pub(crate) fn balance_turn_failed(&self) {
        self.all.balances.turn_failed(&self.chain);
    }

    /// How many balances and wallets wait to be read.
    pub(crate) fn balances_waiting(&self, count: usize) {
        self.all.balances.waiting(&self.chain, count);
    }

    pub(crate) fn token_lookups(&self, outcome: &str, count: usize) {
        let labels = [self.chain.as_str(), outcome];
        self.all.token_lookups.with_label_values(&labels).inc_by(count as u64);
    }
}

fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
