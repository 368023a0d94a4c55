use crypto_intel_schemas::DeliveryState;
use crypto_intel_service::RoleRegistry;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry};

/// From the moment the pipeline saw an event to the service's answer, seconds.
const LATENCY_SECONDS: &[f64] =
    &[0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0];

/// Label of destinations that are not configured, whose names are not ours.
pub(crate) const UNKNOWN_DESTINATION: &str = "unknown";

/// Metrics of the role. `routed` = all `deliveries` + the waiting messages; held ones are not routed yet.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Alerts read, by result: `routed`, `unrouted`, `dropped` by a route, `dead`.
    pub(crate) received: IntCounterVec,
    /// Rounds in which alerts were routed side by side.
    pub(crate) rounds: IntCounter,
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
    /// Messages that wait for their group or for the end of quiet hours, by destination.
    pub(crate) held: IntGaugeVec,
    /// 1 while a destination rejects everything.
    pub(crate) closed: IntGaugeVec,
    /// Seconds from seeing the event to the service's answer.
    pub(crate) seen_to_sent: HistogramVec,
    /// Seconds that one attempt took.
    pub(crate) attempt_seconds: HistogramVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_notify_");
        let by_destination = &["destination"];
        Ok(Self {
            received: metrics.counters("received_total", "Alerts read, by result", &["result"])?,
            rounds: metrics
                .counter("rounds_total", "Rounds in which alerts were routed side by side")?,
            routed: metrics.counters(
                "routed_total",
                "Messages made for a destination",
                by_destination,
            )?,
            deliveries: metrics.counters(
                "deliveries_total",
                "Messages that ended, by state: sent, repeated, uncertain, dead, expired, silenced, inhibited, muted",
                &["destination", "state"],
            )?,
            attempts: metrics.counters(
                "attempts_total",
                "Attempts, by outcome",
                &["destination", "outcome"],
            )?,
            digested: metrics.counters(
                "digested_total",
                "Messages sent within a digest; they also count as deliveries",
                by_destination,
            )?,
            waiting: metrics.gauges(
                "waiting_messages",
                "Messages not yet sent, including the current one",
                by_destination,
            )?,
            held: metrics.gauges(
                "held_messages",
                "Messages that wait for their group or for the end of quiet hours",
                by_destination,
            )?,
            closed: metrics.gauges(
                "closed",
                "1 while a destination rejects everything",
                by_destination,
            )?,
            seen_to_sent: metrics.histograms(
                "seen_to_sent_seconds",
                "From the first sight of an event by the pipeline to the answer of the service",
                LATENCY_SECONDS,
                by_destination,
            )?,
            attempt_seconds: metrics.histograms(
                "attempt_seconds",
                "Duration of an attempt",
                LATENCY_SECONDS,
                by_destination,
            )?,
        })
    }

    /// Every series of a destination at zero, so that rates are right from the first message.
    pub(crate) fn prepare(&self, destination: &str) {
        self.routed.with_label_values(&[destination]);
        self.waiting.with_label_values(&[destination]);
        self.held.with_label_values(&[destination]);
        self.closed.with_label_values(&[destination]);
        for state in DeliveryState::ALL {
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
