use prometheus::{Error, Registry, core::Collector};

/// Registers a collector in place of its predecessor: a role that is started again in the same
/// process begins with fresh metrics instead of failing over those of its last run.
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

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::*;

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
