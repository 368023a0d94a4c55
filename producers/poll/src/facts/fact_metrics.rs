use crypto_intel_service::{
    RoleRegistry,
    prometheus::{self, GaugeVec, IntGaugeVec, Registry},
};

const BY_FACT: &[&str] = &["fact"];

/// Metrics of the facts that someone uses.
#[derive(Debug, Clone)]
pub(crate) struct FactMetrics {
    /// Seconds since any source gave it.
    pub(super) age: IntGaugeVec,
    /// Sources that give it now.
    pub(super) fresh: IntGaugeVec,
    /// The median of what its sources say, without outliers.
    pub(super) value: GaugeVec,
}

impl FactMetrics {
    /// Registers everything; what an earlier start of the role registered is replaced.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = RoleRegistry::new(registry, "crypto_intel_poll_");
        let age = "Time since a source gave the fact, as far as this instance has seen one";
        let fresh = "Endpoints that give the fact now";
        let value = "Median of what the sources of this instance say, without outliers";
        Ok(Self {
            age: metrics.gauges("fact_age_seconds", age, BY_FACT)?,
            fresh: metrics.gauges("fact_fresh_sources", fresh, BY_FACT)?,
            value: metrics.values("fact_value", value, BY_FACT)?,
        })
    }
}
