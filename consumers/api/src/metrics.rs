use std::time::Duration;

use axum::http::{Method, StatusCode};
use crypto_intel_service::RoleRegistry;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry};

/// From an answer out of memory to the time-out.
const REQUEST_BUCKETS_SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// What the API measures. Routes are templates, so that their number is fixed.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGaugeVec,
    refused: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> anyhow::Result<Self> {
        let role = RoleRegistry::new(registry, "crypto_intel_api_");
        Ok(Self {
            requests: role.counters(
                "requests_total",
                "Requests that were answered.",
                &["method", "route", "status"],
            )?,
            seconds: role.histograms(
                "request_seconds",
                "Time from a request to the begin of its answer.",
                REQUEST_BUCKETS_SECONDS,
                &["method", "route"],
            )?,
            in_flight: role.gauges(
                "requests_in_flight",
                "Requests that are being answered.",
                &["kind"],
            )?,
            refused: role.counters(
                "refused_total",
                "Requests and connections that were refused, by reason: key, scope, quota, changes, at_once or sockets.",
                &["reason"],
            )?,
        })
    }

    pub(crate) fn begin(&self) -> InFlight {
        let gauge = self.in_flight.with_label_values(&["request"]);
        gauge.inc();
        InFlight(gauge)
    }

    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let method = label(method);
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.seconds.with_label_values(&[method, route]).observe(elapsed.as_secs_f64());
    }

    pub(crate) fn refused(&self, reason: &str) {
        self.refused.with_label_values(&[reason]).inc();
    }
}

/// Clients may send any word as a method.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}

/// Counts a request until it is dropped, whatever ends it.
#[derive(Debug)]
pub(crate) struct InFlight(prometheus::IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
