//! One sender per destination: takes the messages of each of its two lanes in order, one at a time.

mod delivery_task;
mod destination;
mod digest;
mod in_flight;
mod lane;
mod outbox;
mod results;
mod step;
mod watch;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, WorkQueue};
use crypto_intel_schemas::subjects;
use crypto_intel_service::{Context, Probe, RecordingRetry};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use self::{
    delivery_task::{DeliveryTask, OtherLaneEnded},
    destination::DestinationState,
    outbox::Outbox,
    results::Results,
    watch::Watch,
};
pub(crate) use self::{in_flight::decode, lane::Lane, watch::report_progress};
use crate::{
    channel::Clients,
    config::Destination,
    metrics::Metrics,
    pacing::gate::SendGate,
    records::delivery::STREAM,
    records::record::Records,
    render::{Voice, Words},
};

/// A message whose sender died is redelivered after this.
const ACK_WAIT: Duration = Duration::from_secs(5);

/// What the sender of one destination needs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) destination: Destination,
    pub(crate) nats: Nats,
    pub(crate) clients: Clients,
    pub(crate) gate: Arc<SendGate>,
    pub(crate) metrics: Metrics,
    /// The language of its fallback.
    pub(crate) fallback_words: &'static Words,
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

/// Sends until the term is over: both lanes at once.
async fn send_while_leading(
    setup: &Setup,
    context: &Context,
    probe: &Probe,
    term: Term,
) -> anyhow::Result<()> {
    let retry = RecordingRetry::until(&context.shutdown);
    let records =
        Records::open(&setup.nats, retry.clone()).await.context("open bucket deliveries")?;
    let destination = DestinationState::load(setup, &records, retry.last_error()).await?;
    let attempts = Mutex::new(());
    let watch = Watch::new(setup, probe, retry.last_error().clone());
    let stop = CancellationToken::new();
    let task = |lane| DeliveryTask {
        setup,
        lane,
        owner: context.instance.clone(),
        term: term.clone(),
        stop: stop.clone(),
        retry: retry.clone(),
        outbox: Outbox::new(&setup.nats, &retry, &setup.name, lane),
        results: Results {
            setup,
            records: records.clone(),
            retry: retry.clone(),
            owner: context.instance.clone(),
        },
        destination: &destination,
        attempts: &attempts,
        records: records.clone(),
        voice: Voice::of(setup.destination.policy()),
        carried: parking_lot::Mutex::default(),
    };
    watch.idle();
    let run = async |lane| {
        let ended = send_lane(task(lane), &watch).await;
        // The other one finishes its attempt and ends as well.
        stop.cancel();
        ended
    };
    let (normal, critical) = tokio::join!(run(Lane::Normal), run(Lane::Critical));
    match normal {
        Err(error) if error.is::<OtherLaneEnded>() => critical,
        other => other,
    }
}

/// Sends the messages of one lane.
async fn send_lane(task: DeliveryTask<'_>, watch: &Watch<'_>) -> anyhow::Result<()> {
    let Setup { name, nats, .. } = task.setup;
    let (durable, options) = (task.lane.queue_name(name), task.lane.queue_options(name));
    let mut queue = WorkQueue::open(nats, STREAM, &durable, options)
        .await
        .context("open the queue of messages")?;
    loop {
        let work = task.until_over(queue.next()).await?.context("take a message")?;
        watch.takes(task.lane, &work);
        let handled = tokio::select! {
            handled = task.handle(&work) => handled,
            never = watch.beat(task.lane, &queue, &work) => match never {},
        };
        if let Err(error) = handled {
            // So that the next instance need not wait for it.
            let _ = work.retry_after(Duration::ZERO).await;
            return Err(error);
        }
        task.until_over(task.destination.find_room()).await?;
        watch.is_done(task.lane, work.pending);
    }
}

pub(crate) fn lease_key(destination: &str) -> String {
    format!("notify.{}", subjects::token(destination))
}
