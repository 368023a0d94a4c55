//! Messages of destinations that are configured no more: nobody would ever take them, so they
//! become dead letters, which `crypto-intel dlq retry --to` hands to another destination.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Lease, Nats, Work, WorkQueue};
use crypto_intel_schemas::{Event, subjects};
use crypto_intel_service::Context;

use crate::{
    delivery::{Ending, STREAM, bury, delivery, publish},
    metrics::Metrics,
    retry::{Patience, keep_trying},
    sender::{decode, lease_key, queue_name, queue_options},
    trouble::Trouble,
};

/// How often it is looked: an instance of an older configuration may still route to them.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The label of destinations that are not configured: their names are not ours.
const UNKNOWN: &str = "unknown";

/// What is needed to find them.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) nats: Nats,
    pub(crate) destinations: BTreeSet<String>,
    pub(crate) metrics: Metrics,
}

/// Looks now and then, until told to stop.
pub(crate) async fn run(removed: Arc<Removed>, context: Context) -> anyhow::Result<()> {
    let patience = Patience { shutdown: context.shutdown.clone(), trouble: Trouble::default() };
    loop {
        for name in removed.find(&patience).await? {
            removed.retire(&name, &context, &patience).await?;
        }
        tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

impl Removed {
    async fn find(&self, patience: &Patience) -> anyhow::Result<Vec<String>> {
        let found = keep_trying("look for removed destinations", patience, || {
            self.nats.subjects_of(STREAM, subjects::NOTIFY_OUT_ALL)
        });
        let Some(found) = found.await else { return Ok(Vec::new()) };
        let subjects = found.context("list the subjects of OUTBOX")?;
        let names = subjects.iter().filter_map(|subject| {
            let name = subjects::untoken(subject.rsplit('.').next()?)?;
            (!self.destinations.contains(&name)).then_some(name)
        });
        Ok(names.collect())
    }

    /// Ends all that waits for a destination, unless another instance still sends it.
    async fn retire(
        &self,
        name: &str,
        context: &Context,
        patience: &Patience,
    ) -> anyhow::Result<()> {
        let key = lease_key(name);
        let lease = Lease::try_acquire(&self.nats, &key, &context.instance)
            .await
            .with_context(|| format!("take the lease of the removed destination {name}"))?;
        let Some(lease) = lease else { return Ok(()) };
        let ended = self.end_all(name, patience, &lease).await;
        lease.release().await;
        ended
    }

    async fn end_all(&self, name: &str, patience: &Patience, lease: &Lease) -> anyhow::Result<()> {
        let mut queue = WorkQueue::open(&self.nats, STREAM, &queue_name(name), queue_options(name))
            .await
            .context("open the queue of a removed destination")?;
        let mut count = 0_u64;
        let lost = lease.lost();
        while queue.waiting().await.context("count what waits")? > 0 {
            let work = tokio::select! {
                () = patience.shutdown.cancelled() => break,
                () = lost.cancelled() => break,
                work = queue.next() => work.context("take a message")?,
            };
            if !self.end(name, &work, patience).await? {
                break;
            }
            count += 1;
        }
        if count > 0 {
            tracing::error!(
                destination = name,
                count,
                "messages waited for a destination that is not configured any more, kept as dead letters; hand them to another with `crypto-intel dlq retry --to`"
            );
        }
        Ok(())
    }

    /// `false` when told to stop.
    async fn end(&self, name: &str, work: &Work, patience: &Patience) -> anyhow::Result<bool> {
        let why = format!("destination {name:?} is not configured any more");
        let buried = bury(&self.nats, STREAM, &work.message, &why, patience).await;
        let Some(buried) = buried else { return Ok(false) };
        buried.context("publish a dead letter")?;
        if let Ok(notification) = decode(&work.message) {
            let event = Event::from(delivery(&notification, UNKNOWN, Ending::dead(&why)));
            let Some(told) = publish(&self.nats, event, None, patience).await else {
                return Ok(false);
            };
            told.context("publish a delivery")?;
        }
        self.metrics.deliveries.with_label_values(&[UNKNOWN, "dead"]).inc();
        work.ack().await.context("acknowledge a message")?;
        Ok(true)
    }
}
