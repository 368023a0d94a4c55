//! One sender per destination: takes its messages in order, one at a time.

mod courier;
mod digest;
mod ending;
mod learn;
mod step;
mod waiting;

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Leadership, Nats, Term, Work, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::subjects;
use crypto_intel_service::{Context, LastError, Probe, RecordingRetry, now_us};

use self::courier::Courier;
pub(crate) use self::{courier::decode, step::MAX_UNCERTAIN_ATTEMPTS};
use crate::{
    channel::Channel, config::Destination, delivery::STREAM, gate::Gate, metrics::Metrics,
    record::Records,
};

/// A message whose sender died comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(5);
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// What the sender of one destination needs.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) destination: Destination,
    pub(crate) nats: Nats,
    pub(crate) client: reqwest::Client,
    pub(crate) gate: Arc<Gate>,
    pub(crate) metrics: Metrics,
}

/// Sends whenever this instance holds the destination's lease, until told to stop.
pub(crate) async fn run(setup: Arc<Setup>, context: Context) -> anyhow::Result<()> {
    let name = &setup.name;
    let probe = Arc::new(context.health.probe(format!("notify.{name}"), None));
    let task = lease_key(name);
    let leadership =
        Leadership::new(task, &setup.nats, &context, probe).context("register metrics")?;
    leadership.run(async |term| active(&setup, &context, leadership.probe(), term).await).await
}

/// Sends until told to stop or until the lease is lost.
async fn active(setup: &Setup, context: &Context, probe: &Probe, term: Term) -> anyhow::Result<()> {
    let mut queue = open_queue(setup).await?;
    let retry = RecordingRetry::until(&context.shutdown);
    let records =
        Records::open(&setup.nats, retry.clone()).await.context("open bucket deliveries")?;
    let mut courier = Courier {
        setup,
        records,
        channel: Channel::new(&setup.destination, setup.client.clone()),
        owner: context.instance.clone(),
        retry: retry.clone(),
        term,
        closed_before: false,
        copied: 0,
        channel_questions: 0,
        news: None,
    };
    courier.find_moved_chat().await?;
    courier.find_closed().await?;
    let watch = Watch { setup, probe, last_error: retry.last_error().clone() };
    watch.idle();
    loop {
        let work = courier.until_over(queue.next()).await?.context("take a message")?;
        watch.waiting(work.pending + 1);
        let handled = tokio::select! {
            handled = courier.handle(&work) => handled,
            never = watch.beat(&queue, &work) => match never {},
        };
        if let Err(error) = handled {
            // So that the next instance need not wait for it.
            let _ = work.retry_after(Duration::ZERO).await;
            return Err(error);
        }
        courier.find_channel().await;
        watch.waiting(work.pending);
        watch.idle();
    }
}

/// Says how a destination does while its messages wait.
struct Watch<'a> {
    setup: &'a Setup,
    probe: &'a Probe,
    last_error: LastError,
}

impl Watch<'_> {
    fn waiting(&self, messages: u64) {
        let waiting = self.setup.metrics.waiting.with_label_values(&[&self.setup.name]);
        waiting.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Between two messages.
    fn idle(&self) {
        match self.setup.gate.closed() {
            Some(closed) => {
                self.probe
                    .unhealthy(format!("nothing can be sent: {}: {}", closed.why, closed.mend));
            }
            None => self.probe.healthy("nothing waits"),
        }
    }

    /// Tells the server and people from time to time that a message is being handled. Never ends.
    async fn beat(&self, queue: &WorkQueue, work: &Work) -> Infallible {
        loop {
            tokio::time::sleep(BEAT_INTERVAL).await;
            report_progress(work).await;
            // What came meanwhile is not in the message's own count.
            let waiting = queue.waiting().await.unwrap_or(work.pending + 1);
            self.waiting(waiting);
            self.tell(waiting, work);
        }
    }

    fn tell(&self, waiting: u64, work: &Work) {
        let oldest = (now_us() - work.message.stored_at_us) / 1_000_000;
        let limit = self.setup.destination.policy().unhealthy_after_seconds;
        let text = format!("{waiting} waiting, the oldest for {oldest} s");
        if let Some(closed) = self.setup.gate.closed() {
            let since = (now_us() - closed.since_us) / 1_000_000;
            let next = (closed.next_us - now_us()).max(0) / 1_000_000;
            self.probe.unhealthy(format!(
                "nothing can be sent for {since} s: {}: {}; next try in {next} s, {text}",
                closed.why, closed.mend
            ));
        } else if oldest > i64::try_from(limit).unwrap_or(i64::MAX) {
            self.probe.unhealthy(format!("{text}{}", self.last_error.suffix()));
        } else {
            self.probe.healthy(format!("{text}{}", self.last_error.suffix()));
        }
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

/// Tells the server that a message is being handled, so that it does not come again.
async fn report_progress(work: &Work) {
    if let Err(error) = work.in_progress().await {
        tracing::debug!(sequence = work.message.sequence, error = %format!("{error:#}"), "progress not reported");
    }
}

/// The same from time to time. Never ends.
pub(crate) async fn beat(work: &Work, each: impl Fn()) -> Infallible {
    loop {
        tokio::time::sleep(BEAT_INTERVAL).await;
        each();
        report_progress(work).await;
    }
}
