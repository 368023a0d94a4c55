use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Lease, Nats};
use crypto_intel_service::{Backoff, Context, Probe};

const RETRY: Backoff =
    Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) };

/// How a turn ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is told to stop.
    Shutdown,
    /// The lease or a compare-and-set was lost: take it anew.
    Replaced,
}

/// What a duty is called, and what it is done with.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// Key of the lease.
    pub(crate) lease: String,
    /// For the log: "store stream EVM".
    pub(crate) what: String,
    pub(crate) nats: Nats,
    pub(crate) context: Context,
    pub(crate) probe: Arc<Probe>,
}

/// What one instance at a time does, under a lease.
pub(crate) trait Duty: Send + Sync {
    fn post(&self) -> &Post;

    /// The work, until something ends it. Cut off when the lease is lost.
    fn turn(&self) -> impl Future<Output = anyhow::Result<End>> + Send;

    /// A turn failed; it is tried again.
    fn failed(&self, reason: String) {
        self.post().probe.unhealthy(reason);
    }
}

/// Takes a turn whenever the lease is free, and begins anew after whatever ended it, until shutdown.
pub(crate) async fn hold(duty: impl Duty) {
    let Post { what, context, .. } = duty.post();
    let mut delays = RETRY.delays();
    loop {
        match tenure(&duty).await {
            Ok(End::Shutdown) => return,
            Ok(End::Replaced) => {
                delays = RETRY.delays();
                continue;
            }
            Err(error) => {
                let delay = delays.next().unwrap_or(RETRY.longest);
                tracing::warn!(error = %format!("{error:#}"), delay_ms = delay.as_millis() as u64, "cannot {what}, trying again");
                duty.failed(format!("{error:#}"));
                tokio::select! {
                    () = context.shutdown.cancelled() => return,
                    () = tokio::time::sleep(delay) => {}
                }
            }
        }
    }
}

/// One holding of the lease.
async fn tenure(duty: &impl Duty) -> anyhow::Result<End> {
    let Post { lease: key, what, nats, context, probe } = duty.post();
    let free = Lease::try_acquire(nats, key, &context.instance).await.context("take the lease")?;
    let lease = match free {
        Some(lease) => lease,
        None => {
            probe.healthy("standing by, another instance is active");
            let taken = Lease::acquire(nats, key, &context.instance, &context.shutdown)
                .await
                .context("take the lease")?;
            match taken {
                Some(lease) => lease,
                None => return Ok(End::Shutdown),
            }
        }
    };
    let lost = lease.lost();
    let end = tokio::select! {
        end = duty.turn() => end,
        () = lost.cancelled() => {
            tracing::warn!("lease to {what} lost, standing by");
            return Ok(End::Replaced);
        }
    };
    lease.release().await;
    end
}
