//! One instance at a time does a task: the one that holds its lease.
//!
//! ```text
//!              lease free, or left behind by this very instance
//!   standing by ────────────────────────────────────────────────▶ leading
//!       ▲          probe: healthy while another leads               │  probe: the task's own
//!       └───────────────────────────────────────────────────────────┘
//!              lease lost, or the task says that it was replaced
//! ```
//!
//! Standing by is healthy only while another instance is seen to renew the lease and this one may write it. Anything
//! else means that perhaps no instance leads, and the probe says why.

pub(crate) mod lease;
mod standby;

use std::sync::Arc;
use std::time::Duration;

use crypto_intel_service::prometheus;
use crypto_intel_service::{Context, LeaderGauge, Probe, Stopped, unless_stopped};
use tokio_util::sync::CancellationToken;

use crate::client::api::Nats;
use crate::leader::lease::Lease;

use standby::Standby;

/// How often a standby looks at the lease.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// Why a term is over. Also an error, so that work that finds it out deep inside passes it up with `?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermEnd {
    /// The process was told to stop.
    #[error("stopped")]
    Stopped,
    /// Another instance leads: the lease was lost, or a write was refused because another instance has written.
    #[error("another instance leads")]
    Replaced,
}

impl TermEnd {
    /// What an error says about the term; `None` for one that is a failure.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Option<Self> {
        if Stopped::caused(error) {
            return Some(Self::Stopped);
        }
        error.downcast_ref::<Self>().copied()
    }
}

/// One holding of the lease, as the task sees it.
#[derive(Debug, Clone)]
pub struct Term {
    lost: CancellationToken,
    shutdown: CancellationToken,
}

impl Term {
    /// Fires when the lease was lost.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Waits until the term is over.
    pub async fn over(&self) -> TermEnd {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => TermEnd::Stopped,
            () = self.lost.cancelled() => TermEnd::Replaced,
        }
    }

    /// Does cancel-safe work until it ends or the term is over.
    ///
    /// # Errors
    /// Those of the work, and [`TermEnd`] when the term was over first.
    pub async fn until_over<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            end = self.over() => Err(end.into()),
            output = work => output,
        }
    }
}

/// A task that one instance at a time does.
#[derive(Debug, Clone)]
pub struct Leadership {
    /// Key of the lease, which is also the task's name in metrics and logs: `persist.EVM`.
    task: String,
    nats: Nats,
    context: Context,
    probe: Arc<Probe>,
    gauge: LeaderGauge,
}

impl Leadership {
    /// A task whose name is a valid key. While standing by this sets `probe`, while leading the task does.
    ///
    /// # Errors
    /// When the metric cannot be registered.
    pub fn new(
        task: impl Into<String>,
        nats: &Nats,
        context: &Context,
        probe: Arc<Probe>,
    ) -> Result<Self, prometheus::Error> {
        let task = task.into();
        let gauge = LeaderGauge::register(&context.registry, &task)?;
        Ok(Self { task, nats: nats.clone(), context: context.clone(), probe, gauge })
    }

    /// The task's name.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The connection of the task.
    #[must_use]
    pub fn nats(&self) -> &Nats {
        &self.nats
    }

    /// The process.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The task's probe.
    #[must_use]
    pub fn probe(&self) -> &Arc<Probe> {
        &self.probe
    }

    /// Does `work` whenever this instance leads, until shutdown. What prevents it is reported and waited for.
    /// The work returns when its term is over: `Ok`, or a [`TermEnd`] or [`Stopped`] as its error.
    ///
    /// # Errors
    /// Those of the work that say anything else; the lease is given back first.
    pub async fn run<F>(&self, mut work: impl FnMut(Term) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let shutdown = &self.context.shutdown;
        loop {
            let Ok(lease) = unless_stopped(shutdown, Standby::new(self).wait()).await else {
                return Ok(());
            };
            let ended = self.lead(&lease, &mut work).await;
            let is_lost = !lease.is_held();
            lease.release().await;
            let end = match &ended {
                Ok(()) => Some(TermEnd::Stopped),
                Err(error) => TermEnd::of(error),
            };
            match end {
                None => return ended,
                _ if shutdown.is_cancelled() => return Ok(()),
                Some(TermEnd::Stopped) if !is_lost => {
                    anyhow::bail!("ended without being stopped");
                }
                Some(_) => {
                    let error = ended.err().unwrap_or_else(|| TermEnd::Replaced.into());
                    tracing::warn!(task = self.task, reason = %format!("{error:#}"), "lead lost, standing by");
                }
            }
            // An instance that replaced this one without a lease must not be raced in a tight loop.
            let pause = tokio::time::sleep(LOOK_INTERVAL);
            if unless_stopped(shutdown, pause).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn lead<F>(&self, lease: &Lease, work: impl FnOnce(Term) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let _leading = Leading::begin(&self.gauge);
        self.probe.healthy("leading");
        let lost = lease.lost();
        let term = Term { lost: lost.clone(), shutdown: self.context.shutdown.clone() };
        let mut work = std::pin::pin!(work(term));
        tokio::select! {
            ended = &mut work => return ended,
            () = lost.cancelled() => {}
        }
        // It may take a while to finish what is under way.
        self.probe.unhealthy("the lease was lost, stopping");
        work.await
    }
}

/// Shows that this instance leads, also when its work is cut off.
struct Leading<'l>(&'l LeaderGauge);

impl<'l> Leading<'l> {
    fn begin(gauge: &'l LeaderGauge) -> Self {
        gauge.set(true);
        Self(gauge)
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
