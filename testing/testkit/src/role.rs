//! A role, started and stopped as in a process.

use std::future::Future;

use crypto_intel_service::{Context, ProbeReport, prometheus::proto::Metric};
use tokio::task::JoinHandle;

use crate::deadline::{eventually, within};

/// A role that runs as a task of the test. When dropped, it ends as in a crash.
#[derive(Debug)]
pub struct RunningRole {
    /// What a process would give it: instance, shutdown, metrics, health.
    pub context: Context,
    task: JoinHandle<anyhow::Result<()>>,
}

impl RunningRole {
    /// Starts a role, such as `|context| run(config, nats, context)`.
    pub fn start<F>(instance: impl Into<String>, run: impl FnOnce(Context) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        show_logs();
        let context = Context::new(instance);
        let task = tokio::spawn(run(context.clone()));
        Self { context, task }
    }

    /// Ends it as SIGTERM does: asks it to stop and waits.
    ///
    /// # Panics
    /// When it failed, or does not end in time.
    pub async fn stop(mut self) {
        self.context.shutdown.cancel();
        let ended = within(&mut self.task).await.unwrap_or_else(|error| panic!("role: {error}"));
        ended.unwrap_or_else(|error| panic!("the role failed: {error:#}"));
    }

    /// Ends it as SIGKILL does: nothing is finished, no lease released.
    ///
    /// # Panics
    /// When it had ended before.
    pub async fn kill(mut self) {
        self.task.abort();
        let ended = (&mut self.task).await;
        assert!(
            ended.as_ref().is_err_and(tokio::task::JoinError::is_cancelled),
            "it ended before it was killed: {ended:?}"
        );
    }

    /// Value of a counter or gauge, or number of samples of a histogram, summed over the series that have all these label
    /// values. Zero if there is none.
    #[must_use]
    pub fn metric(&self, name: &str, label_values: &[&str]) -> f64 {
        let families = self.context.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        let has = |metric: &Metric, value: &str| {
            metric.get_label().iter().any(|pair| pair.value() == value)
        };
        metrics
            .iter()
            .filter(|metric| label_values.iter().all(|value| has(metric, value)))
            .map(|metric| {
                let samples = metric.get_histogram().get_sample_count() as f64;
                metric.get_counter().get_value() + metric.get_gauge().get_value() + samples
            })
            .sum()
    }

    /// What a probe reports.
    #[must_use]
    pub fn probe(&self, name: &str) -> Option<ProbeReport> {
        let report = self.context.health.report();
        report.probes.into_iter().find(|probe| probe.name == name)
    }

    /// Whether a probe exists and is healthy.
    #[must_use]
    pub fn is_healthy(&self, probe: &str) -> bool {
        self.probe(probe).is_some_and(|probe| probe.healthy)
    }

    /// Detail of a probe; empty if there is no such probe.
    #[must_use]
    pub fn detail(&self, probe: &str) -> String {
        self.probe(probe).map(|probe| probe.detail).unwrap_or_default()
    }

    /// Waits until a probe is healthy.
    ///
    /// # Panics
    /// When it does not become healthy in time.
    pub async fn until_healthy(&self, probe: &str) {
        eventually(async || self.is_healthy(probe)).await;
    }

    /// Waits until the health report, as text, contains all these parts; returns it.
    ///
    /// # Panics
    /// When it does not contain them in time.
    pub async fn until_reported(&self, parts: &[&str]) -> String {
        eventually(async || {
            let text = format!("{:?}", self.context.health.report());
            parts.iter().all(|part| text.contains(part)).then_some(text)
        })
        .await
    }

    /// Whether some probe is unhealthy for this reason.
    #[must_use]
    pub fn is_unhealthy_for(&self, reason: &str) -> bool {
        let report = self.context.health.report();
        report.probes.iter().any(|probe| !probe.healthy && probe.detail.contains(reason))
    }

    /// What `/ready` answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.context.health.report().ready
    }
}

impl Drop for RunningRole {
    fn drop(&mut self) {
        self.task.abort();
        // Its other tasks would end with its process.
        self.context.shutdown.cancel();
    }
}

/// Shows the role's logs in the output of a test that fails; `RUST_LOG` sets the level.
fn show_logs() {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info,alloy_pubsub=off".into());
    // Another test of the same process may have installed it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

#[cfg(test)]
mod tests {
    use crypto_intel_service::prometheus::{IntCounterVec, Opts};

    use super::*;

    async fn until_stopped(context: Context) -> anyhow::Result<()> {
        let counter = IntCounterVec::new(Opts::new("seen_total", "."), &["kind", "chain"])?;
        counter.with_label_values(&["block", "base"]).inc_by(2);
        counter.with_label_values(&["block", "polygon"]).inc_by(3);
        crypto_intel_service::register(&context.registry, counter)?;
        let probe = context.health.probe("role", None);
        probe.healthy("works");
        context.shutdown.cancelled().await;
        Ok(())
    }

    #[tokio::test]
    async fn shows_what_the_role_reports_until_it_stops() {
        let role = RunningRole::start("one", until_stopped);
        role.until_healthy("role").await;
        assert!(role.is_ready() && !role.is_healthy("other"));
        assert_eq!(role.metric("seen_total", &[]), 5.0);
        assert_eq!(role.metric("seen_total", &["block", "base"]), 2.0);
        assert_eq!(role.metric("seen_total", &["base", "polygon"]), 0.0);
        role.stop().await;
    }

    #[tokio::test]
    async fn a_killed_role_ends_at_once() {
        let role = RunningRole::start("one", |_| std::future::pending());
        role.kill().await;
    }

    #[tokio::test]
    #[should_panic(expected = "the role failed: no disk")]
    async fn an_error_of_a_role_fails_the_test() {
        let role = RunningRole::start("one", async |_| Err(anyhow::anyhow!("no disk")));
        role.stop().await;
    }
}
