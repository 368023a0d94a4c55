//! One sender per destination: takes its messages in order, one at a time.

mod delivery_task;
mod destination;
mod digest;
mod in_flight;
mod outbox;
mod results;
mod step;
mod watch;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::subjects;
use crypto_intel_service::{Context, Probe, RecordingRetry};

use self::{
    delivery_task::DeliveryTask, destination::DestinationState, outbox::Outbox, results::Results,
    watch::Watch,
};
pub(crate) use self::{in_flight::decode, watch::report_progress};
use crate::{
    config::Destination, metrics::Metrics, pacing::gate::SendGate, records::delivery::STREAM,
    records::record::Records,
};

/// A message whose sender died is redelivered after this.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// What the sender of one destination needs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) destination: Destination,
    pub(crate) nats: Nats,
    pub(crate) client: reqwest::Client,
    pub(crate) gate: Arc<SendGate>,
    pub(crate) metrics: Metrics,
}

/// Sends whenever this instance holds the destination's lease, until the process stops.
pub(crate) async fn run(setup: Arc<Setup>, context: Context) -> anyhow::Result<()> {
    let name = &setup.name;
    let probe = Arc::new(context.health.probe(format!("notify.{name}"), None));
    let task = lease_key(name);
    let leadership =
        Leadership::new(task, &setup.nats, &context, probe).context("register metrics")?;
    leadership
        .run(async |term| send_while_leading(&setup, &context, leadership.probe(), term).await)
        .await
}

/// Sends until the term is over.
async fn send_while_leading(
    setup: &Setup,
    context: &Context,
    probe: &Probe,
    term: Term,
) -> anyhow::Result<()> {
    let mut queue = open_queue(setup).await?;
    let retry = RecordingRetry::until(&context.shutdown);
    let records =
        Records::open(&setup.nats, retry.clone()).await.context("open bucket deliveries")?;
    let mut task = DeliveryTask {
        setup,
        owner: context.instance.clone(),
        term: term.clone(),
        retry: retry.clone(),
        outbox: Outbox::new(&setup.nats, &retry, &setup.name),
        results: Results {
            setup,
            records: records.clone(),
            retry: retry.clone(),
            owner: context.instance.clone(),
        },
        destination: DestinationState::load(setup, &records, retry.last_error()).await?,
        records,
    };
    let watch = Watch { setup, probe, last_error: retry.last_error().clone() };
    watch.idle();
    loop {
        let work = task.until_over(queue.next()).await?.context("take a message")?;
        watch.waiting(work.pending + 1);
        let handled = tokio::select! {
            handled = task.handle(&work) => handled,
            never = watch.beat(&queue, &work) => match never {},
        };
        if let Err(error) = handled {
            // So that the next instance need not wait for it.
            let _ = work.retry_after(Duration::ZERO).await;
            return Err(error);
        }
        term.until_over(task.destination.find_channel()).await?;
        watch.waiting(work.pending);
        watch.idle();
    }
}

async fn open_queue(setup: &Setup) -> anyhow::Result<WorkQueue> {
    let (durable, options) = (queue_name(&setup.name), queue_options(&setup.name));
    WorkQueue::open(&setup.nats, STREAM, &durable, options)
        .await
        .context("open the queue of messages")
}

pub(crate) fn queue_name(destination: &str) -> String {
    format!("notify-{}", subjects::token(destination))
}

pub(crate) fn queue_options(destination: &str) -> WorkQueueOptions {
    // One message under way at a time is what keeps the order over restarts, too.
    WorkQueueOptions {
        filter: subjects::notify_out(destination),
        ack_wait: ACK_WAIT,
        max_ack_pending: 1,
        prefetch: 1,
    }
}

pub(crate) fn lease_key(destination: &str) -> String {
    format!("notify.{}", subjects::token(destination))
}
