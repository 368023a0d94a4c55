use std::{
    future::Future,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt;
use tokio::task::JoinSet;

use crate::{
    failure::retry::Backoff,
    process::context::Context,
    process::stop::{Stopped, unless_stopped},
};

/// What happens when a role ends without being stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It is restarted after a growing delay, and `/ready` fails meanwhile.
    WithBackoff,
    /// The whole process stops with its error.
    Never,
}

/// Runs the roles of a process: one that returns early, fails or panics is an error in the log and an
/// unhealthy probe until it runs again.
#[derive(Debug)]
pub struct Supervisor {
    context: Context,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// A role that ran this long before it failed restarts with the first delay.
const RESET_DELAYS_AFTER: Duration = Duration::from_secs(60);

impl Supervisor {
    /// A supervisor without roles.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, tasks: JoinSet::new() }
    }

    /// Starts a role. `start` makes its future, once per (re)start.
    pub fn spawn<F>(
        &mut self,
        name: impl Into<String>,
        restart: Restart,
        start: impl Fn(Context) -> F + Send + 'static,
    ) where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let context = self.context.clone();
        self.tasks.spawn(supervise(name.into(), restart, context, start));
    }

    /// Waits until every role has ended, at most `grace` after the shutdown started.
    ///
    /// # Errors
    /// The first error of a role that must not be restarted, or that the grace ran out.
    pub async fn wait(mut self, grace: Duration) -> anyhow::Result<()> {
        let shutdown = self.context.shutdown.clone();
        let mut first_error = None;
        let drain = async {
            while let Some(ended) = self.tasks.join_next().await {
                let result = ended.unwrap_or_else(|error| Err(anyhow::anyhow!(error)));
                if let Err(error) = result {
                    first_error.get_or_insert(error);
                    shutdown.cancel();
                }
            }
        };
        let overtime = async {
            shutdown.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            () = drain => {}
            () = overtime => {
                self.tasks.abort_all();
                return Err(first_error.unwrap_or_else(|| anyhow::anyhow!(
                    "not every role stopped within {} s; unfinished work is repeated at the next start",
                    grace.as_secs()
                )));
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

async fn supervise<F>(
    name: String,
    restart: Restart,
    context: Context,
    start: impl Fn(Context) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let probe = context.health.probe(format!("role.{name}"), None);
    let backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
    let mut delays = backoff.delays();
    loop {
        probe.healthy("running");
        let started = Instant::now();
        let outcome = AssertUnwindSafe(start(context.clone())).catch_unwind().await;
        let is_orderly = match &outcome {
            Ok(Ok(())) => true,
            Ok(Err(error)) => Stopped::caused(error),
            Err(_) => false,
        };
        if context.shutdown.is_cancelled() && is_orderly {
            tracing::info!(role = name, "stopped");
            return Ok(());
        }
        let error = match outcome {
            Ok(Ok(())) => anyhow::anyhow!("ended without being stopped"),
            Ok(Err(error)) => error,
            Err(panic) => anyhow::anyhow!("panicked: {}", panic_text(panic.as_ref())),
        };
        probe.unhealthy(format!("{error:#}"));
        if context.shutdown.is_cancelled() || restart == Restart::Never {
            return Err(error.context(format!("run {name}")));
        }
        if started.elapsed() > RESET_DELAYS_AFTER {
            delays = backoff.delays();
        }
        let delay = delays.next().unwrap_or(backoff.longest);
        tracing::error!(role = name, error = %format!("{error:#}"), restart_in_ms = delay.as_millis() as u64, "role failed");
        if unless_stopped(&context.shutdown, tokio::time::sleep(delay)).await.is_err() {
            return Ok(());
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_a_role_again_after_a_panic_and_an_early_end() {
        let context = Context::new("test");
        let starts = Arc::new(AtomicU32::new(0));
        let mut supervisor = Supervisor::new(context.clone());
        let seen = Arc::clone(&starts);
        supervisor.spawn("fragile", Restart::WithBackoff, move |context| {
            let start = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                match start {
                    0 => panic!("first"),
                    1 => Ok(()),
                    _ => {
                        context.shutdown.cancel();
                        Err(Stopped.into())
                    }
                }
            }
        });
        let ended = supervisor.wait(Duration::from_secs(5)).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_must_not_restart_stops_the_process() {
        let context = Context::new("test");
        let mut supervisor = Supervisor::new(context.clone());
        supervisor.spawn("strict", Restart::Never, |_| async { anyhow::bail!("no such chain") });
        supervisor.spawn("other", Restart::WithBackoff, |context| async move {
            context.shutdown.cancelled().await;
            Ok(())
        });
        let error = supervisor.wait(Duration::from_secs(5)).await.expect_err("must fail");
        assert!(format!("{error:#}").contains("no such chain"), "{error:#}");
    }
}
