use crypto_intel_service::{
    RoleRegistry,
    prometheus::{self, GaugeVec, IntCounterVec, IntGaugeVec, Registry},
};

const BY_FACT: &[&str] = &["fact"];
const BY_RESULT: &[&str] = &["provider", "result"];

/// Metrics of the facts that someone uses.
#[derive(Debug, Clone)]
pub(crate) struct FactMetrics {
    /// Seconds since any source gave it.
    pub(super) age: IntGaugeVec,
    /// Sources that give it now.
    pub(super) fresh: IntGaugeVec,
    /// The value of the bucket that is used.
    pub(super) value: GaugeVec,
    /// Values offered to the bucket, by provider and result.
    pub(super) offered: IntCounterVec,
}

impl FactMetrics {
    /// Registers everything; what an earlier start of the role registered is replaced.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_poll_");
        let age = "Time since a source gave the fact, as far as this instance has seen one";
        let fresh = "Endpoints that give the fact now";
        let value = "Value of the index or metric that is used, as this instance wrote it last";
        let offered = "Indices and metrics offered to the bucket of facts, by result";
        Ok(Self {
            age: metrics.gauges("fact_age_seconds", age, BY_FACT)?,
            fresh: metrics.gauges("fact_fresh_sources", fresh, BY_FACT)?,
            value: metrics.values("fact_value", value, BY_FACT)?,
            offered: metrics.counters("facts_total", offered, BY_RESULT)?,
        })
    }
}
