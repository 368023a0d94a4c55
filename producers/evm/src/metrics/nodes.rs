use crypto_intel_schemas::NodeStatus;
use crypto_intel_service::{
    BreakerState,
    prometheus::{self, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry},
    register,
};

/// Metrics of endpoints, all chains.
#[derive(Debug, Clone)]
pub(crate) struct NodeMetrics {
    serving: IntGaugeVec,
    breaker: IntGaugeVec,
    lag: IntGaugeVec,
    error_ratio: GaugeVec,
    latency: GaugeVec,
    switches: IntCounterVec,
}

impl NodeMetrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labels = ["chain", "endpoint"];
        let opts = |name: &str, help: &str| Opts::new(format!("crypto_intel_evm_{name}"), help);
        let integer = |name: &str, help: &str| {
            register(registry, IntGaugeVec::new(opts(name, help), &labels)?)
        };
        let number =
            |name: &str, help: &str| register(registry, GaugeVec::new(opts(name, help), &labels)?);
        let switches = IntCounterVec::new(
            opts(
                "endpoint_switches_total",
                "Changes of the serving endpoint, by the new one and why the old one stopped",
            ),
            &["chain", "endpoint", "reason"],
        )?;
        Ok(Self {
            serving: integer("endpoint_serving", "1 for the endpoint that is asked first")?,
            breaker: integer("endpoint_breaker_state", "0 closed, 1 half-open, 2 open")?,
            lag: integer("endpoint_lag_blocks", "Blocks below the highest head of all endpoints")?,
            error_ratio: number("endpoint_error_ratio", "Share of recent requests that failed")?,
            latency: number(
                "endpoint_latency_seconds",
                "Mean time to an answer; 0 without recent requests",
            )?,
            switches: register(registry, switches)?,
        })
    }

    pub(crate) fn show(&self, status: &NodeStatus) {
        let labels = [status.chain.as_str(), status.endpoint.as_str()];
        self.serving.with_label_values(&labels).set(i64::from(status.serving));
        let breaker = match status.breaker.as_str() {
            word if word == BreakerState::Closed.as_str() => 0,
            word if word == BreakerState::HalfOpen.as_str() => 1,
            _ => 2,
        };
        self.breaker.with_label_values(&labels).set(breaker);
        if let Some(lag) = status.lag_blocks {
            self.lag.with_label_values(&labels).set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
        let ratio = f64::from(status.error_percent) / 100.0;
        self.error_ratio.with_label_values(&labels).set(ratio);
        let latency = status.latency_ms.unwrap_or(0) as f64 / 1_000.0;
        self.latency.with_label_values(&labels).set(latency);
    }

    /// Counts a change of the serving endpoint; labels: chain, the new endpoint, why the old one stopped.
    pub(crate) fn switched(&self, labels: &[&str; 3]) {
        self.switches.with_label_values(labels).inc();
    }
}
