use prometheus::{
    Error, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, core::Collector,
};

/// Registers a collector in place of its predecessor: a role that is restarted in the same process
/// starts with new metrics instead of failing on those of its last run.
///
/// # Errors
/// When a collector of other labels or help text has the name.
pub fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, Error> {
    // Fails where nothing was registered yet, which is the ordinary case.
    let _absent = registry.unregister(Box::new(collector.clone()));
    #[expect(clippy::disallowed_methods, reason = "the one place that may")]
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// Registers the metrics of one role, all with its prefix.
#[derive(Debug, Clone, Copy)]
pub struct RoleRegistry<'r> {
    registry: &'r Registry,
    prefix: &'static str,
}

impl<'r> RoleRegistry<'r> {
    /// `prefix` is `crypto_intel_<role>_`.
    #[must_use]
    pub const fn new(registry: &'r Registry, prefix: &'static str) -> Self {
        Self { registry, prefix }
    }

    /// A counter without labels.
    ///
    /// # Errors
    /// When something else has its name.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        register(self.registry, IntCounter::with_opts(self.options(name, help))?)
    }

    /// A counter by labels.
    ///
    /// # Errors
    /// When something else has its name.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        register(self.registry, IntCounterVec::new(self.options(name, help), labels)?)
    }

    /// A gauge by labels.
    ///
    /// # Errors
    /// When something else has its name.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        register(self.registry, IntGaugeVec::new(self.options(name, help), labels)?)
    }

    /// A gauge of numbers with a fraction, by labels.
    ///
    /// # Errors
    /// When something else has its name.
    pub fn values(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        register(self.registry, GaugeVec::new(self.options(name, help), labels)?)
    }

    /// A histogram by labels.
    ///
    /// # Errors
    /// When something else has its name.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::from(self.options(name, help)).buckets(buckets.to_vec());
        register(self.registry, HistogramVec::new(options, labels)?)
    }

    fn options(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("{}{name}", self.prefix), help)
    }
}

/// `crypto_intel_leader{task}`: 1 while this instance leads the task.
#[derive(Debug, Clone)]
pub struct LeaderGauge(IntGauge);

impl LeaderGauge {
    /// The gauge of a task, 0 at first.
    ///
    /// # Errors
    /// When something else has its name.
    pub fn register(registry: &Registry, task: &str) -> Result<Self, Error> {
        let options =
            Opts::new("crypto_intel_leader", "1 while this instance leads the task, else 0")
                .const_label("task", task);
        register(registry, IntGauge::with_opts(options)?).map(Self)
    }

    /// Sets it.
    pub fn set(&self, leads: bool) {
        self.0.set(i64::from(leads));
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::*;

    #[test]
    fn every_task_has_a_leader_gauge_of_its_own() {
        let registry = Registry::new();
        LeaderGauge::register(&registry, "evm.x").unwrap().set(true);
        LeaderGauge::register(&registry, "alerts").unwrap();
        let families = registry.gather();
        assert_eq!(families.len(), 1);
        let values: Vec<f64> =
            families[0].get_metric().iter().map(|it| it.get_gauge().get_value()).collect();
        assert_eq!(values, [0.0, 1.0]);
    }

    #[test]
    fn a_second_start_replaces_the_metrics_of_the_first() {
        let registry = Registry::new();
        let counter = || IntCounter::new("things_total", "Things").unwrap();
        register(&registry, counter()).unwrap().inc();
        register(&registry, counter()).unwrap().inc_by(5);
        let families = registry.gather();
        assert_eq!(families.len(), 1);
        assert_eq!(families[0].get_metric()[0].get_counter().get_value(), 5.0);
    }
}
