//! One sender per destination: takes its messages in order, one at a time.

mod attempt;
mod courier;
mod digest;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Lease, Nats, Work, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::subjects;
use crypto_intel_service::{Context, Probe, now_us};
use tokio_util::sync::CancellationToken;

use self::courier::{Courier, Next};
use crate::{
    channel::Channel, config::Destination, delivery::STREAM, gate::Gate, metrics::Metrics,
    record::Records,
};

/// A message whose sender died comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(5);
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// What the sender of one destination needs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) destination: Destination,
    pub(crate) nats: Nats,
    pub(crate) client: reqwest::Client,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
}

/// Sends whenever this instance holds the destination's lease, until told to stop.
pub(crate) async fn run(setup: Arc<Setup>, context: Context) -> anyhow::Result<()> {
    let name = &setup.name;
    let probe = context.health.probe(format!("notify.{name}"), None);
    let key = format!("notify.{}", subjects::token(name));
    while !context.shutdown.is_cancelled() {
        probe.healthy("standing by");
        let lease = Lease::acquire(&setup.nats, &key, &context.instance, &context.shutdown)
            .await
            .with_context(|| format!("take the lease of destination {name}"))?;
        let Some(lease) = lease else { return Ok(()) };
        let ended = active(&setup, &context, &probe, lease.lost()).await;
        lease.release().await;
        ended?;
    }
    Ok(())
}

/// Sends until told to stop or until the lease is lost.
async fn active(
    setup: &Setup,
    context: &Context,
    probe: &Probe,
    lost: CancellationToken,
) -> anyhow::Result<()> {
    let mut queue = open_queue(setup).await?;
    let records = Records::open(&setup.nats, context.shutdown.clone())
        .await
        .context("open bucket deliveries")?;
    let channel = Channel::new(&setup.destination, setup.client.clone());
    let mut courier = Courier {
        setup,
        records,
        channel,
        owner: context.instance.clone(),
        shutdown: context.shutdown.clone(),
        lost,
        failures: 0,
    };
    courier.find_moved_chat().await?;
    probe.healthy("waiting for messages");
    loop {
        let work = tokio::select! {
            biased;
            () = courier.stopping() => return Ok(()),
            work = queue.next() => work.context("take a message")?,
        };
        let waiting = setup.metrics.waiting.with_label_values(&[&setup.name]);
        waiting.set(i64::try_from(work.pending).unwrap_or(i64::MAX).saturating_add(1));
        let limit = setup.destination.policy().unhealthy_after_seconds;
        let next = tokio::select! {
            next = courier.handle(&work) => next,
            () = beat(&work, || tell_waiting(probe, &work, limit)) => Ok(Next::Stop),
        };
        match next {
            Ok(Next::Message) => {}
            Ok(Next::Stop) => {
                // Whoever is next need not wait for it.
                let _ = work.retry_after(Duration::ZERO).await;
                return Ok(());
            }
            Err(error) => {
                let _ = work.retry_after(Duration::ZERO).await;
                return Err(error);
            }
        }
        waiting.set(i64::try_from(work.pending).unwrap_or(i64::MAX));
        match setup.gate.closed() {
            Some(why) => probe.unhealthy(format!("nothing can be sent: {why}")),
            None => probe.healthy(format!("{} waiting", work.pending)),
        }
    }
}

async fn open_queue(setup: &Setup) -> anyhow::Result<WorkQueue> {
    // One message under way at a time is what keeps the order over restarts, too.
    let options = WorkQueueOptions {
        filter: subjects::notify_out(&setup.name),
        ack_wait: ACK_WAIT,
        max_ack_pending: 1,
        prefetch: 1,
    };
    let durable = format!("notify-{}", subjects::token(&setup.name));
    WorkQueue::open(&setup.nats, STREAM, &durable, options)
        .await
        .context("open the queue of messages")
}

fn tell_waiting(probe: &Probe, work: &Work, limit_seconds: u64) {
    let waited = (now_us() - work.message.stored_at_us) / 1_000_000;
    if waited > i64::try_from(limit_seconds).unwrap_or(i64::MAX) {
        probe
            .unhealthy(format!("the oldest of {} messages waits for {waited} s", work.pending + 1));
    }
}

/// Tells the server from time to time that a message is being handled. Never ends.
pub(crate) async fn beat(work: &Work, each: impl Fn()) {
    loop {
        tokio::time::sleep(BEAT_EVERY).await;
        each();
        if let Err(error) = work.in_progress().await {
            tracing::debug!(sequence = work.message.sequence, error = %format!("{error:#}"), "progress not reported");
        }
    }
}
