//! Messages of destinations that were removed from the configuration: no sender would take them, so
//! they become dead letters, which `crypto-intel dlq retry --to` hands to another destination.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Lease, Nats, Work, WorkQueue};
use crypto_intel_schemas::{Event, subjects};
use crypto_intel_service::{Context, RecordingRetry, unless_stopped};

use crate::{
    metrics::{Metrics, UNKNOWN_DESTINATION},
    records::delivery::{Ending, STREAM, delivery, publish, publish_dead_letter},
    sender::{Lane, decode, lease_key},
};

/// How often they are searched: an instance of an older configuration may still route to them.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Finds and ends the messages of removed destinations.
#[derive(Debug)]
pub(crate) struct RemovedDestinations {
    pub(crate) nats: Nats,
    pub(crate) destinations: BTreeSet<String>,
    pub(crate) metrics: Metrics,
}

/// Searches periodically until the process stops.
pub(crate) async fn run(removed: Arc<RemovedDestinations>, context: Context) -> anyhow::Result<()> {
    let retry = RecordingRetry::until(&context.shutdown);
    loop {
        for name in removed.find(&retry).await? {
            removed.retire(&name, &context, &retry).await?;
        }
        unless_stopped(&context.shutdown, tokio::time::sleep(LOOK_INTERVAL)).await?;
    }
}

impl RemovedDestinations {
    async fn find(&self, retry: &RecordingRetry) -> anyhow::Result<Vec<String>> {
        let subjects = retry
            .run("look for removed destinations", || {
                self.nats.subjects_of(STREAM, subjects::NOTIFY_OUT_ALL)
            })
            .await?
            .context("list the subjects of OUTBOX")?;
        let names = subjects.iter().filter_map(|subject| {
            let name = subjects::untoken(subject.split('.').nth(2)?)?;
            (!self.destinations.contains(&name)).then_some(name)
        });
        // Both lanes of one have the same name.
        Ok(names.collect::<BTreeSet<String>>().into_iter().collect())
    }

    /// Ends all waiting messages of a destination, unless another instance still sends them.
    async fn retire(
        &self,
        name: &str,
        context: &Context,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let key = lease_key(name);
        let lease = Lease::try_acquire(&self.nats, &key, &context.instance)
            .await
            .with_context(|| format!("take the lease of the removed destination {name}"))?;
        let Some(lease) = lease else { return Ok(()) };
        let ended = self.end_all(name, retry, &lease).await;
        lease.release().await;
        ended
    }

    async fn end_all(
        &self,
        name: &str,
        retry: &RecordingRetry,
        lease: &Lease,
    ) -> anyhow::Result<()> {
        let mut count = 0;
        let ended = self.end_each(name, retry, lease, &mut count).await;
        if count > 0 {
            tracing::error!(
                destination = name,
                count,
                "messages of a destination that is no longer configured are kept as dead letters; hand them to another with `crypto-intel dlq retry --to`"
            );
        }
        ended
    }

    async fn end_each(
        &self,
        name: &str,
        retry: &RecordingRetry,
        lease: &Lease,
        count: &mut u64,
    ) -> anyhow::Result<()> {
        for lane in Lane::ALL {
            self.end_lane(name, lane, retry, lease, count).await?;
        }
        Ok(())
    }

    async fn end_lane(
        &self,
        name: &str,
        lane: Lane,
        retry: &RecordingRetry,
        lease: &Lease,
        count: &mut u64,
    ) -> anyhow::Result<()> {
        let (durable, options) = (lane.queue_name(name), lane.queue_options(name));
        let mut queue = WorkQueue::open(&self.nats, STREAM, &durable, options)
            .await
            .context("open the queue of a removed destination")?;
        let lost = lease.lost();
        while queue.waiting().await.context("count what waits")? > 0 {
            let work = tokio::select! {
                () = retry.stop().cancelled() => break,
                () = lost.cancelled() => break,
                work = queue.next() => work.context("take a message")?,
            };
            self.end(name, &work, retry).await?;
            *count += 1;
        }
        Ok(())
    }

    async fn end(&self, name: &str, work: &Work, retry: &RecordingRetry) -> anyhow::Result<()> {
        let why = format!("destination {name:?} is not configured any more");
        publish_dead_letter(&self.nats, STREAM, &work.message, &why, retry).await?;
        if let Ok(notification) = decode(&work.message) {
            let event =
                Event::from(delivery(&notification, UNKNOWN_DESTINATION, Ending::dead(&why)));
            publish(&self.nats, event, None, retry).await?.context("publish a delivery")?;
        }
        self.metrics.deliveries.with_label_values(&[UNKNOWN_DESTINATION, "dead"]).inc();
        work.ack().await.context("acknowledge a message")
    }
}
