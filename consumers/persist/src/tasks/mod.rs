//! The concurrent tasks of persist: one for each stream, one for the watch-list, one for old rows, one
//! that compares balances with transfers. Each runs on one instance at
//! a time.

pub(crate) mod labels;
pub(crate) mod proof;
pub(crate) mod retention;
pub(crate) mod stream;
pub(crate) mod wallets;

use std::time::Duration;

use crypto_intel_nats::{Leadership, Term};
use crypto_intel_service::Backoff;

const RETRY: Backoff =
    Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) };

/// Work that one instance at a time does, for as long as the process runs.
pub(crate) trait LeaderTask: Send + Sync {
    fn leadership(&self) -> &Leadership;

    /// For the log: "store stream EVM".
    fn purpose(&self) -> String;

    /// The work of one term. It is dropped when the term is over, so it must be cancel-safe.
    fn run_term(&self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Reports that a term failed.
    fn failed(&self, reason: String) {
        self.leadership().probe().unhealthy(reason);
    }
}

/// Runs a task while this instance is its leader, and again after any failure, until shutdown.
pub(crate) async fn keep_running(task: impl LeaderTask) {
    let shutdown = task.leadership().context().shutdown.clone();
    let mut delays = RETRY.delays();
    loop {
        let ended = task
            .leadership()
            .run(|term: Term| {
                let task = &task;
                async move { term.until_over(task.run_term()).await }
            })
            .await;
        let Err(error) = ended else { return };
        let delay = delays.next().unwrap_or(RETRY.longest);
        let purpose = task.purpose();
        tracing::warn!(error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "cannot {purpose}, trying again");
        task.failed(format!("{error:#}"));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}
