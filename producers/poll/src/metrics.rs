use crypto_intel_service::prometheus::{
    self, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector,
};

/// Buckets of the time that one request takes, seconds.
const REQUEST_BUCKETS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// What the pollers count.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// By provider, endpoint and outcome: `ok` or the kind of error.
    pub(crate) requests: IntCounterVec,
    pub(crate) request_duration: HistogramVec,
    pub(crate) published: IntCounterVec,
    /// Events left out because the provider gave them before.
    pub(crate) unchanged: IntCounterVec,
    /// Batches that another instance or an earlier attempt had published.
    pub(crate) duplicates: IntCounterVec,
    /// Objects of an answer that are no events.
    pub(crate) invalid: IntCounterVec,
    /// Expected things that are missing from the last answer.
    pub(crate) missing: IntGaugeVec,
    /// Time of the last good answer, seconds since the epoch.
    pub(crate) last_success: IntGaugeVec,
    /// Milliseconds waited for the quota.
    pub(crate) quota_wait: IntCounterVec,
    /// 1 while a provider is left alone.
    pub(crate) held: IntGaugeVec,
    /// 1 while this instance polls the provider.
    pub(crate) leader: IntGaugeVec,
    /// Prices offered to the bucket, by provider and result.
    pub(crate) prices: IntCounterVec,
}

impl Metrics {
    /// Registers everything; what an earlier start of the role registered is replaced.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let by_endpoint = &["provider", "endpoint"];
        let by_provider = &["provider"];
        let duration = HistogramOpts::new(
            "crypto_intel_poll_request_duration_seconds",
            "Time from sending a request to the last byte of its answer",
        );
        Ok(Self {
            requests: counter(
                registry,
                "crypto_intel_poll_requests_total",
                "Requests by outcome",
                &["provider", "endpoint", "outcome"],
            )?,
            request_duration: register(
                registry,
                HistogramVec::new(duration.buckets(REQUEST_BUCKETS.to_vec()), by_endpoint)?,
            )?,
            published: counter(
                registry,
                "crypto_intel_poll_events_published_total",
                "Events that the stream acknowledged",
                by_endpoint,
            )?,
            unchanged: counter(
                registry,
                "crypto_intel_poll_events_unchanged_total",
                "Events left out because the last answer had them already",
                by_endpoint,
            )?,
            duplicates: counter(
                registry,
                "crypto_intel_poll_duplicates_total",
                "Answers that were published before, by another instance or an earlier attempt",
                by_endpoint,
            )?,
            invalid: counter(
                registry,
                "crypto_intel_poll_invalid_total",
                "Objects of answers that are no events",
                by_endpoint,
            )?,
            missing: gauge(
                registry,
                "crypto_intel_poll_missing",
                "Things asked for that the last answer does not hold",
                by_endpoint,
            )?,
            last_success: gauge(
                registry,
                "crypto_intel_poll_last_success_timestamp_seconds",
                "When the last good answer came",
                by_endpoint,
            )?,
            quota_wait: counter(
                registry,
                "crypto_intel_poll_quota_wait_milliseconds_total",
                "Time that requests waited for the quota",
                by_provider,
            )?,
            held: gauge(
                registry,
                "crypto_intel_poll_held",
                "1 while a provider is left alone because it fails or asked for it",
                by_provider,
            )?,
            leader: gauge(
                registry,
                "crypto_intel_poll_leader",
                "1 while this instance polls the provider",
                by_provider,
            )?,
            prices: counter(
                registry,
                "crypto_intel_poll_prices_total",
                "Prices offered to the bucket, by result",
                &["provider", "result"],
            )?,
        })
    }
}

fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    // Fails when there is none yet, which is the usual case.
    let _ = registry.unregister(Box::new(collector.clone()));
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
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
