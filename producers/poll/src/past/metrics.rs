use crypto_intel_service::{
    RoleRegistry,
    prometheus::{self, IntCounterVec, IntGaugeVec, Registry},
};

const BY_PROVIDER: &[&str] = &["provider"];
const BY_ENDPOINT: &[&str] = &["provider", "endpoint"];
const BY_OUTCOME: &[&str] = &["provider", "outcome"];

/// Metrics of the past of endpoints.
#[derive(Debug, Clone)]
pub(crate) struct PastMetrics {
    /// By provider and outcome: `ok` or the kind of error.
    pub(crate) requests: IntCounterVec,
    /// Events that the stream acknowledged.
    pub(crate) published: IntCounterVec,
    /// Points of time that are still to be asked for.
    pub(crate) remaining: IntGaugeVec,
    /// Objects of answers that cannot be turned into events.
    pub(crate) invalid: IntCounterVec,
    /// 1 while the past waits for persist.
    pub(crate) paused: IntGaugeVec,
}

impl PastMetrics {
    /// Registers everything; what an earlier start of the role registered is replaced.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_poll_history_");
        let requests = "Requests for the past of endpoints, by outcome";
        let published = "Events of the past that the stream acknowledged";
        let remaining = "Points of time of the wanted past that are still to be asked for";
        let invalid = "Objects of answers about the past that cannot be turned into events";
        let paused = "1 while the past waits for persist to store what was published";
        Ok(Self {
            requests: metrics.counters("requests_total", requests, BY_OUTCOME)?,
            published: metrics.counters("events_published_total", published, BY_ENDPOINT)?,
            remaining: metrics.gauges("remaining_points", remaining, BY_ENDPOINT)?,
            invalid: metrics.counters("invalid_total", invalid, BY_ENDPOINT)?,
            paused: metrics.gauges("paused", paused, BY_PROVIDER)?,
        })
    }
}
