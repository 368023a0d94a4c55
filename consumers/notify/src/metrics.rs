use crypto_intel_schemas::DeliveryState;
use crypto_intel_service::register;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// From the moment the pipeline saw an event to the service's answer, seconds.
const LATENCY_SECONDS: &[f64] =
    &[0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0];

/// Label of destinations that are not configured, whose names are not ours.
pub(crate) const UNKNOWN_DESTINATION: &str = "unknown";

/// Metrics of the role. `routed` = all `deliveries` + the waiting messages.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Alerts read, by result: `routed`, `unrouted`, `dead`.
    pub(crate) received: IntCounterVec,
    /// Messages made for a destination.
    pub(crate) routed: IntCounterVec,
    /// Ends of messages, by destination and state.
    pub(crate) deliveries: IntCounterVec,
    /// Attempts, by destination and outcome.
    pub(crate) attempts: IntCounterVec,
    /// Messages that were sent within a digest.
    pub(crate) digested: IntCounterVec,
    /// Messages that wait, by destination.
    pub(crate) waiting: IntGaugeVec,
    /// 1 while a destination rejects everything.
    pub(crate) closed: IntGaugeVec,
    /// Seconds from seeing the event to the service's answer.
    pub(crate) seen_to_sent: HistogramVec,
    /// Seconds that one attempt took.
    pub(crate) attempt_seconds: HistogramVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(registry, HistogramVec::new(options, &["destination"])?)
        };
        Ok(Self {
            received: counter(
                "crypto_intel_notify_received_total",
                "Alerts taken, by what was done with them",
                &["result"],
            )?,
            routed: counter(
                "crypto_intel_notify_routed_total",
                "Messages made for a destination",
                &["destination"],
            )?,
            deliveries: counter(
                "crypto_intel_notify_deliveries_total",
                "Messages that ended, by state: sent, repeated, uncertain, dead, expired",
                &["destination", "state"],
            )?,
            attempts: counter(
                "crypto_intel_notify_attempts_total",
                "Attempts, by outcome",
                &["destination", "outcome"],
            )?,
            digested: counter(
                "crypto_intel_notify_digested_total",
                "Messages sent within a digest; they also count as deliveries",
                &["destination"],
            )?,
            waiting: register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "crypto_intel_notify_waiting_messages",
                        "Messages not yet sent, including the current one",
                    ),
                    &["destination"],
                )?,
            )?,
            closed: register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "crypto_intel_notify_closed",
                        "1 while a destination rejects everything",
                    ),
                    &["destination"],
                )?,
            )?,
            seen_to_sent: histogram(
                "crypto_intel_notify_seen_to_sent_seconds",
                "From the pipeline's first sight of an event to the service's answer",
                LATENCY_SECONDS,
            )?,
            attempt_seconds: histogram(
                "crypto_intel_notify_attempt_seconds",
                "How long one attempt took",
                LATENCY_SECONDS,
            )?,
        })
    }

    /// Every series of a destination at zero, so that rates are right from the first message.
    pub(crate) fn prepare(&self, destination: &str) {
        self.routed.with_label_values(&[destination]);
        self.waiting.with_label_values(&[destination]);
        self.closed.with_label_values(&[destination]);
        for state in [
            DeliveryState::Sent,
            DeliveryState::Repeated,
            DeliveryState::Uncertain,
            DeliveryState::Dead,
            DeliveryState::Expired,
        ] {
            self.deliveries.with_label_values(&[destination, state.as_str()]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_restarted_role_can_register_again() {
        let registry = Registry::new();
        Metrics::new(&registry).unwrap().routed.with_label_values(&["ops"]).inc();
        Metrics::new(&registry).unwrap().prepare("ops");
        let families = registry.gather();
        let names: Vec<&str> = families.iter().map(prometheus::proto::MetricFamily::name).collect();
        assert!(names.contains(&"crypto_intel_notify_routed_total"), "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("crypto_intel_notify_")));
    }
}
