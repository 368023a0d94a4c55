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
//! else means that perhaps nobody leads, and the probe says why.

mod standby;

use std::sync::Arc;
use std::time::Duration;

use crypto_intel_service::prometheus;
use crypto_intel_service::{Context, LeaderGauge, Probe};
use tokio_util::sync::CancellationToken;

use crate::{Lease, Nats};

use standby::Standby;

/// How often who stands by looks at the lease.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// How a term ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TermEnd {
    /// The process is told to stop.
    Shutdown,
    /// The lease was lost, or another instance was found at work: stand by.
    Replaced,
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
            () = self.shutdown.cancelled() => TermEnd::Shutdown,
            () = self.lost.cancelled() => TermEnd::Replaced,
        }
    }

    /// Does what may be cut off at any moment, until it ends or the term is over.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn until_over<E>(
        &self,
        work: impl Future<Output = Result<TermEnd, E>>,
    ) -> Result<TermEnd, E> {
        tokio::select! {
            biased;
            end = self.over() => Ok(end),
            end = work => end,
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

    /// How the task does.
    #[must_use]
    pub fn probe(&self) -> &Arc<Probe> {
        &self.probe
    }

    /// Does `work` whenever this instance leads, until shutdown. What hinders it from leading is told and waited for.
    ///
    /// # Errors
    /// Those of the work; the lease is given back first.
    pub async fn run<F, E>(&self, mut work: impl FnMut(Term) -> F) -> Result<(), E>
    where
        F: Future<Output = Result<TermEnd, E>>,
    {
        loop {
            let Some(lease) = Standby::new(self).wait().await else { return Ok(()) };
            let ended = self.lead(&lease, &mut work).await;
            lease.release().await;
            if ended? == TermEnd::Shutdown || self.context.shutdown.is_cancelled() {
                return Ok(());
            }
            tracing::warn!(task = self.task, "lead lost, standing by");
            // Whoever replaced us without a lease must not be raced in a tight loop.
            tokio::select! {
                () = self.context.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    async fn lead<F, E>(&self, lease: &Lease, work: impl FnOnce(Term) -> F) -> Result<TermEnd, E>
    where
        F: Future<Output = Result<TermEnd, E>>,
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
