use crypto_intel_service::{
    RoleRegistry,
    prometheus::{self, HistogramVec, IntCounterVec, IntGaugeVec, Registry},
};

/// Buckets of the time that one request takes, seconds.
const REQUEST_BUCKETS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Metrics of the pollers.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// By provider, endpoint and outcome: `ok` or the kind of error.
    pub(crate) requests: IntCounterVec,
    pub(crate) request_duration: HistogramVec,
    pub(crate) published: IntCounterVec,
    /// Events skipped because the last answer had them.
    pub(crate) unchanged: IntCounterVec,
    /// Batches that another instance or an earlier attempt had published.
    pub(crate) duplicates: IntCounterVec,
    /// Objects of an answer that cannot be turned into events.
    pub(crate) invalid: IntCounterVec,
    /// Expected items that are missing from the last answer.
    pub(crate) missing: IntGaugeVec,
    /// Time of the last valid answer, seconds since the epoch.
    pub(crate) last_success: IntGaugeVec,
    /// Milliseconds waited for the quota.
    pub(crate) quota_wait: IntCounterVec,
    /// 1 while requests to a provider pause.
    pub(crate) held: IntGaugeVec,
    /// Slots of schedules, by what became of them.
    pub(crate) slots: IntCounterVec,
    /// 1 while an endpoint gave no valid answer for too long.
    pub(crate) stale: IntGaugeVec,
    /// Units of weight used of a window, by the place of the key.
    pub(crate) quota_used: IntGaugeVec,
    /// Units of weight that the window has.
    pub(crate) quota_limit: IntGaugeVec,
    /// 1 while a day or month is nearly spent, by the place of the key.
    pub(crate) nearly_spent: IntGaugeVec,
    /// 1 for the state that a key is in, by its place.
    pub(crate) keys: IntGaugeVec,
    /// Prices offered to the bucket, by provider and result.
    pub(crate) prices: IntCounterVec,
}

const BY_PROVIDER: &[&str] = &["provider"];
const BY_ENDPOINT: &[&str] = &["provider", "endpoint"];
const BY_OUTCOME: &[&str] = &["provider", "endpoint", "outcome"];
const BY_WINDOW: &[&str] = &["provider", "key", "window"];
const BY_KEY: &[&str] = &["provider", "key"];
const BY_KEY_STATE: &[&str] = &["provider", "key", "state"];
const BY_RESULT: &[&str] = &["provider", "result"];

impl Metrics {
    /// Registers everything; what an earlier start of the role registered is replaced.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_poll_");
        let counter = |name, help, labels| metrics.counters(name, help, labels);
        let gauge = |name, help, labels| metrics.gauges(name, help, labels);
        let duration = "From sending a request to the last byte of its answer";
        let ours = "Events that the stream acknowledged";
        let known = "Events skipped because the last answer had them";
        let before = "Answers that another instance or attempt had published";
        let invalid = "Objects of answers that cannot be turned into events";
        let missing = "Requested items that the last answer lacks";
        let success = "Time of the last valid answer";
        let waited = "Time that requests waited for the quota";
        let held = "1 while requests to a provider pause because it fails or asked for it";
        let slots = "Slots of schedules: done on time, late, or skipped";
        let stale = "1 while an endpoint gave no valid answer for too long";
        let used = "Units of the quota used in a window, by the place of the key";
        let limit = "Units of the quota that a window has, by the place of the key";
        let nearly =
            "1 while 80 % of a day or month of the quota are used, by the place of the key";
        let keys = "1 for the state that a key is in, by its place";
        let prices = "Prices offered to the bucket, by result";
        Ok(Self {
            requests: counter("requests_total", "Requests by outcome", BY_OUTCOME)?,
            request_duration: metrics.histograms(
                "request_duration_seconds",
                duration,
                REQUEST_BUCKETS,
                BY_ENDPOINT,
            )?,
            published: counter("events_published_total", ours, BY_ENDPOINT)?,
            unchanged: counter("events_unchanged_total", known, BY_ENDPOINT)?,
            duplicates: counter("duplicates_total", before, BY_ENDPOINT)?,
            invalid: counter("invalid_total", invalid, BY_ENDPOINT)?,
            missing: gauge("missing", missing, BY_ENDPOINT)?,
            last_success: gauge("last_success_timestamp_seconds", success, BY_ENDPOINT)?,
            quota_wait: counter("quota_wait_milliseconds_total", waited, BY_PROVIDER)?,
            held: gauge("held", held, BY_PROVIDER)?,
            slots: counter("slots_total", slots, BY_OUTCOME)?,
            stale: gauge("stale", stale, BY_ENDPOINT)?,
            quota_used: gauge("quota_used", used, BY_WINDOW)?,
            quota_limit: gauge("quota_limit", limit, BY_WINDOW)?,
            nearly_spent: gauge("quota_nearly_spent", nearly, BY_KEY)?,
            keys: gauge("key_state", keys, BY_KEY_STATE)?,
            prices: counter("prices_total", prices, BY_RESULT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_role_that_starts_again_registers_again() {
        let registry = Registry::new();
        Metrics::new(&registry).unwrap();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.requests.with_label_values(&["p", "e", "ok"]).inc();
        let families = registry.gather();
        assert!(families.iter().any(|family| family.name() == "crypto_intel_poll_requests_total"));
    }
}
