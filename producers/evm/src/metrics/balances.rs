use crypto_intel_service::{
    prometheus::{self, IntCounterVec, IntGaugeVec, Opts, Registry},
    register,
};

/// Metrics of balances, all chains.
#[derive(Debug, Clone)]
pub(super) struct BalanceMetrics {
    read: IntCounterVec,
    failed_turns: IntCounterVec,
    waiting: IntGaugeVec,
}

impl BalanceMetrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// When a name is taken.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(format!("crypto_intel_evm_{name}"), help);
        let read = opts(
            "balances_read_total",
            "Balances that were read, by outcome: read, reverted or not_a_number",
        );
        let failed =
            opts("balance_turns_failed_total", "Turns in which no endpoint told the balances");
        let waiting =
            opts("balances_waiting", "Balances and wallets that wait to be read from the chain");
        Ok(Self {
            read: register(registry, IntCounterVec::new(read, &["chain", "outcome"])?)?,
            failed_turns: register(registry, IntCounterVec::new(failed, &["chain"])?)?,
            waiting: register(registry, IntGaugeVec::new(waiting, &["chain"])?)?,
        })
    }

    pub(super) fn read(&self, chain: &str, outcome: &str) {
        self.read.with_label_values(&[chain, outcome]).inc();
    }

    pub(super) fn turn_failed(&self, chain: &str) {
        self.failed_turns.with_label_values(&[chain]).inc();
    }

    pub(super) fn waiting(&self, chain: &str, count: usize) {
        self.waiting.with_label_values(&[chain]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
