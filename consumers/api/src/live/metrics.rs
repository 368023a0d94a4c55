use crypto_intel_service::RoleRegistry;
use prometheus::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};

use super::position::Slot;

/// From a millisecond on the same machine to what a page still calls live.
const LATENCY_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Metrics of live events.
#[derive(Debug, Clone)]
pub(crate) struct LiveMetrics {
    /// Clients by transport.
    pub(crate) clients: IntGaugeVec,
    pub(crate) subscriptions: IntGauge,
    pub(crate) cohorts: IntGauge,
    pub(crate) received: IntCounterVec,
    pub(crate) undecodable: IntCounterVec,
    /// Frames written, each once for all clients of a cohort.
    pub(crate) frames_made: IntCounter,
    pub(crate) messages_sent: IntCounter,
    pub(crate) events_sent: IntCounter,
    pub(crate) lagged: IntCounter,
    pub(crate) gaps: IntCounterVec,
    pub(crate) resumed: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) closed: IntCounterVec,
    latency: HistogramVec,
    ring_events: IntGaugeVec,
    ring_bytes: IntGaugeVec,
}

impl LiveMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When another component has one of the names.
    pub(crate) fn new(registry: &Registry) -> Result<Self, Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_api_live_");
        let single_gauge = |name: &str, help: &str| -> Result<IntGauge, Error> {
            Ok(metrics.gauges(name, help, &[])?.with_label_values::<&str>(&[]))
        };
        let gauges = |name: &str, help: &str, label: &str| metrics.gauges(name, help, &[label]);
        let counters = |name: &str, help: &str, label: &str| metrics.counters(name, help, &[label]);
        Ok(Self {
            clients: gauges("clients", "Clients that listen", "transport")?,
            subscriptions: single_gauge("subscriptions", "Subscriptions of all clients")?,
            cohorts: single_gauge("cohorts", "Different filters that clients have")?,
            received: counters("received_total", "Messages read from a stream", "stream")?,
            undecodable: counters("undecodable_total", "Messages that could not be decoded, left out", "stream")?,
            frames_made: metrics.counter("frames_made_total", "Frames written, once for all clients with one filter")?,
            messages_sent: metrics.counter("messages_sent_total", "Messages sent to clients")?,
            events_sent: metrics.counter("events_sent_total", "Events sent to clients")?,
            lagged: metrics.counter("lagged_total", "Times that a client read too slowly for the frames kept for it")?,
            gaps: counters("gaps_total", "Gaps that clients were told of", "reason")?,
            resumed: counters("resumed_total", "Streams that clients went on with from an earlier place, by where it was found", "from")?,
            refused: counters("refused_total", "Clients and messages of clients that were refused", "reason")?,
            closed: counters("closed_total", "Connections that the server closed", "reason")?,
            latency: metrics.histograms("latency_seconds", "From an event's storage in its stream to the end of its sending, newest event of a frame", LATENCY_BUCKETS, &[])?,
            ring_events: gauges("ring_events", "Events held in memory for clients that come back", "stream")?,
            ring_bytes: gauges("ring_bytes", "The same in bytes, estimated", "stream")?,
        })
    }

    pub(crate) fn latency(&self) -> Histogram {
        self.latency.with_label_values::<&str>(&[])
    }

    pub(crate) fn set_ring(&self, slot: Slot, events: usize, bytes: usize) {
        let stream = slot.stream().name();
        self.ring_events.with_label_values(&[stream]).set(events as i64);
        self.ring_bytes.with_label_values(&[stream]).set(bytes as i64);
    }
}
