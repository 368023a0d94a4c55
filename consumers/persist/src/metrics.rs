use crypto_intel_service::register;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};

/// From a commit of a few rows to one on a slow disk.
const COMMIT_BUCKETS_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From a local chain to catching up.
const HEAD_TO_ROW_BUCKETS_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// What persist measures, per stream; rows are per table, head latency covers all chains.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) received: IntCounterVec,
    pub(crate) applied: IntCounterVec,
    pub(crate) rows: IntCounterVec,
    pub(crate) batches: IntCounterVec,
    pub(crate) merged: IntCounterVec,
    pub(crate) dropped_blocks: IntCounterVec,
    pub(crate) left_out: IntCounterVec,
    pub(crate) dead_lettered: IntCounterVec,
    pub(crate) retries: IntCounterVec,
    pub(crate) fence_lost: IntCounterVec,
    pub(crate) lost_ranges: IntCounterVec,
    pub(crate) stream_resets: IntCounterVec,
    pub(crate) expired: IntCounterVec,
    pub(crate) balance_differences: IntCounterVec,
    pub(crate) lag_messages: IntGaugeVec,
    pub(crate) lag_seconds: IntGaugeVec,
    pub(crate) commit_seconds: HistogramVec,
    pub(crate) head_to_row_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> anyhow::Result<Self> {
        let counter = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(options(name, help), &[label])?;
            register(registry, metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGaugeVec::new(options(name, help), &["stream"])?;
            register(registry, metric)
        };
        let commit = HistogramOpts::from(options("commit_seconds", "Time of one transaction."))
            .buckets(COMMIT_BUCKETS_SECONDS.to_vec());
        let head = HistogramOpts::from(options(
            "head_to_row_seconds",
            "From a head first seen to its rows committed.",
        ))
        .buckets(HEAD_TO_ROW_BUCKETS_SECONDS.to_vec());
        Ok(Self {
            received: counter("received_total", "Messages read.", "stream")?,
            applied: counter("applied_total", "Messages whose effect is committed.", "stream")?,
            rows: counter("rows_total", "Rows written.", "table")?,
            batches: counter("batches_total", "Transactions committed.", "stream")?,
            merged: counter(
                "merged_batches_total",
                "Transactions that went through staging tables because keys could exist.",
                "stream",
            )?,
            dropped_blocks: counter(
                "dropped_blocks_total",
                "Blocks that left the canonical chain, whose rows were deleted or never written.",
                "stream",
            )?,
            left_out: counter(
                "left_out_total",
                "Events that are not stored, by `not_stored`.",
                "stream",
            )?,
            dead_lettered: counter(
                "dead_lettered_total",
                "Messages that can never be stored.",
                "stream",
            )?,
            retries: counter("retries_total", "Attempts to store that failed.", "stream")?,
            fence_lost: counter(
                "fence_lost_total",
                "Times that another instance had moved the position.",
                "stream",
            )?,
            lost_ranges: counter(
                "lost_ranges_total",
                "Ranges that the stream dropped before they were read.",
                "stream",
            )?,
            stream_resets: counter(
                "stream_resets_total",
                "Times that the stream was found recreated or restored.",
                "stream",
            )?,
            expired: counter(
                "expired_total",
                "Rows, or chunks of hypertables, dropped because they were older than configured.",
                "table",
            )?,
            balance_differences: register(
                registry,
                IntCounterVec::new(
                    options(
                        "balance_differences_total",
                        "Balances that were not what the balance before and the stored transfers make, by likely reason.",
                    ),
                    &["chain", "reason"],
                )?,
            )?,
            lag_messages: gauge(
                "lag_messages",
                "Messages in the stream that are not applied yet.",
            )?,
            lag_seconds: gauge(
                "lag_seconds",
                "Age of the oldest message that is not applied yet.",
            )?,
            commit_seconds: register(registry, HistogramVec::new(commit, &["stream"])?)?,
            head_to_row_seconds: register(registry, Histogram::with_opts(head)?)?,
        })
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("crypto_intel_persist_{name}"), help)
}
