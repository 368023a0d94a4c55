//! From alerts to messages, in the order of the alerts. One instance at a time routes: it remembers what lasts and what
//! waits.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_nats::{
    Bucket, KvWatch, Leadership, Nats, Term, Work, WorkQueue, WorkQueueOptions,
};
use crypto_intel_schemas::{Alert, Event, Stream, subjects};
use crypto_intel_service::{Context, Probe, RecordingRetry, now_us};
use tokio::time::MissedTickBehavior;

use crate::{
    config::Config,
    metrics::{Metrics, UNKNOWN_DESTINATION},
    records::delivery::{
        CONSUMER, Ending, delivery, notification, publish, publish_dead_letter, trace_of,
    },
    routing::{
        dead_man::Pulse,
        dispatch::{Dispatcher, Setup},
        reload::RouteFile,
        watchdog::Watchdog,
    },
    sender::report_progress,
};

const ALERTS: &str = Stream::Alert.name();
/// Key of the router's lease. Those of destinations have no dot in their name.
const LEASE: &str = "notify.task.router";
const ACK_WAIT: Duration = Duration::from_secs(5);
/// An alert that takes longer than this to be routed makes the probe unhealthy.
const MAX_ROUTING_TIME: Duration = Duration::from_secs(15);
/// How often groups, reminders and the ends of silences are looked for.
const TICK: Duration = Duration::from_millis(250);
/// How often the connection, the file of routes and the health of others are looked at, in ticks.
const LOOK_TICKS: u64 = 4;

/// What the router needs.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) setup: Setup,
    /// The file of routes.
    pub(crate) routes: Option<PathBuf>,
    pub(crate) watchdog: Watchdog,
    pub(crate) pulse: Arc<Pulse>,
}

/// Routes whenever this instance holds the lease, until the process stops.
pub(crate) async fn run(router: Arc<Router>, context: Context) -> anyhow::Result<()> {
    let probe = Arc::new(context.health.probe("notify.router", None));
    let routes = Arc::new(context.health.probe("notify.routes", None));
    routes.healthy("not routing");
    let leadership =
        Leadership::new(LEASE, &router.setup.nats, &context, probe).context("register metrics")?;
    leadership
        .run(async |term| {
            route_while_leading(&router, &context, leadership.probe(), &routes, term).await
        })
        .await
}

/// Routes until the term is over.
async fn route_while_leading(
    router: &Router,
    context: &Context,
    probe: &Probe,
    routes: &Arc<Probe>,
    term: Term,
) -> anyhow::Result<()> {
    let nats = &router.setup.nats;
    let retry = RecordingRetry::until(&context.shutdown);
    let mut changes = Changes::open(nats).await?;
    let mut dispatcher = Dispatcher::load(&router.setup, &context.instance, &retry).await?;
    changes.load(&mut dispatcher).await;
    let mut file =
        RouteFile::new(router.routes.clone(), &router.setup.destinations, Arc::clone(routes));
    dispatcher.set_tree(file.first(&dispatcher.store).await?);
    let options = WorkQueueOptions {
        filter: subjects::ALERT_ALL.to_owned(),
        ack_wait: ACK_WAIT,
        max_ack_pending: 1,
        prefetch: 1,
    };
    let mut queue = WorkQueue::open(nats, ALERTS, CONSUMER, options)
        .await
        .context("open the queue of alerts")?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0_u64;
    let mut idle = "waiting for alerts".to_owned();
    loop {
        tokio::select! {
            biased;
            end = term.over() => return Err(end.into()),
            () = changes.take(&mut dispatcher) => {}
            _ = ticks.tick() => {
                count += 1;
                term.until_over(dispatcher.tick()).await.context("do what is due")?;
                if count.is_multiple_of(LOOK_TICKS) {
                    if let Some(tree) = file.look(&dispatcher.store).await? {
                        dispatcher.set_tree(tree);
                    }
                    look(router, &mut dispatcher, probe, &idle).await;
                }
            }
            work = queue.next() => {
                let work = work.context("take an alert")?;
                idle = handle(router, &mut dispatcher, &work, probe, &retry).await?;
            }
        }
    }
}

/// Looks at the connection, and at the health of others.
async fn look(router: &Router, dispatcher: &mut Dispatcher<'_>, probe: &Probe, idle: &str) {
    // An empty queue looks the same with and without a connection.
    if let Err(reason) = router.setup.nats.connection() {
        return probe.unhealthy(format!("not connected to nats: {reason}"));
    }
    probe.healthy(idle);
    match router.watchdog.look(dispatcher).await {
        Ok(true) => router.pulse.beat(),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(error = %format!("{error:#}"), "health of others is not known");
        }
    }
}

/// Routes one alert and acknowledges it. Returns what the probe says after it.
async fn handle(
    router: &Router,
    dispatcher: &mut Dispatcher<'_>,
    work: &Work,
    probe: &Probe,
    retry: &RecordingRetry,
) -> anyhow::Result<String> {
    let began = Instant::now();
    let slow = || {
        let seconds = began.elapsed().as_secs();
        if began.elapsed() >= MAX_ROUTING_TIME {
            let why = retry.last_error().suffix();
            probe.unhealthy(format!(
                "alert {} could not be routed for {seconds} s{why}",
                work.message.sequence
            ));
        }
    };
    let routed = tokio::select! {
        routed = router.route(dispatcher, work, retry) => routed,
        never = report_progress(work, slow) => match never {},
    };
    if let Err(error) = routed {
        // So that the next instance need not wait for it.
        let _ = work.retry_after(Duration::ZERO).await;
        return Err(error);
    }
    if let Err(error) = work.ack().await {
        tracing::warn!(sequence = work.message.sequence, error = %format!("{error:#}"), "alert not acknowledged, it is routed again");
    }
    let late = (now_us() - work.message.stored_at_us) / 1_000_000;
    let idle = format!("at alert {}, {late} s behind it", work.message.sequence);
    probe.healthy(&*idle);
    Ok(idle)
}

/// Silences and acknowledgements as others write them.
struct Changes {
    silences: KvWatch,
    acknowledgements: KvWatch,
}

impl Changes {
    async fn open(nats: &Nats) -> anyhow::Result<Self> {
        let silences = nats.kv(Bucket::Silences).await.context("open bucket silences")?;
        let routing = nats.kv(Bucket::Routing).await.context("open bucket routing")?;
        Ok(Self {
            silences: silences.watch_all().await.context("watch the silences")?,
            acknowledgements: routing.watch("ack.>").await.context("watch acknowledgements")?,
        })
    }

    async fn load(&mut self, dispatcher: &mut Dispatcher<'_>) {
        for change in self.silences.load().await {
            dispatcher.silence_changed(&change.key, change.value.as_deref());
        }
        for change in self.acknowledgements.load().await {
            dispatcher.acknowledged(change.value.as_deref());
        }
    }

    /// Waits for the next change, and takes it. Cancel-safe; never ends once the client was closed.
    async fn take(&mut self, dispatcher: &mut Dispatcher<'_>) {
        tokio::select! {
            Some(change) = self.silences.next() => {
                dispatcher.silence_changed(&change.key, change.value.as_deref());
            }
            Some(change) = self.acknowledgements.next() => {
                dispatcher.acknowledged(change.value.as_deref());
            }
            else => std::future::pending().await,
        }
    }
}

impl Router {
    pub(crate) fn new(config: &Config, nats: &Nats, metrics: &Metrics, pulse: Arc<Pulse>) -> Self {
        let destinations = &config.destinations;
        let channels = destinations.iter().map(|(name, one)| (name.clone(), one.channel()));
        let fallbacks = destinations.iter().filter_map(|(name, one)| {
            one.policy().fallback.clone().map(|fallback| (name.clone(), fallback))
        });
        let places_all = config.unrouted.is_some() || config.routes.is_some();
        Self {
            setup: Setup {
                nats: nats.clone(),
                channels: channels.collect(),
                destinations: destinations.keys().cloned().collect(),
                unrouted: config.unrouted.clone(),
                metrics: metrics.clone(),
            },
            routes: config.routes.clone(),
            watchdog: Watchdog::new(fallbacks.collect(), places_all),
            pulse,
        }
    }

    async fn route(
        &self,
        dispatcher: &mut Dispatcher<'_>,
        work: &Work,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let message = &work.message;
        let alert = match Event::decode(&message.payload) {
            Ok(Event::Alert(alert)) => alert,
            Ok(other) => {
                let why = format!("{} is no alert", other.kind());
                return self.reject(work, &why, retry).await;
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::new(error));
                return self.reject(work, &why, retry).await;
            }
        };
        let routed = dispatcher.route(&alert, message.sequence, trace_of(message)).await?;
        for route in &routed.unknown {
            self.route_to_unknown(route, &alert, work, retry).await?;
        }
        let any = routed.any || !routed.unknown.is_empty();
        let result = match (any, routed.dropped) {
            (true, _) => "routed",
            (false, true) => "dropped",
            (false, false) => "unrouted",
        };
        self.metrics().received.with_label_values(&[result]).inc();
        Ok(())
    }

    fn metrics(&self) -> &Metrics {
        &self.setup.metrics
    }

    /// A route to an unknown destination ends at once, counted and kept as a dead letter.
    async fn route_to_unknown(
        &self,
        route: &str,
        alert: &Alert,
        work: &Work,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let known: Vec<&str> = self.setup.destinations.iter().map(String::as_str).collect();
        let why = format!("no destination {route:?} (known: {})", known.join(", "));
        tracing::warn!(
            rule = alert.rule,
            code = alert.code,
            route,
            "alert is routed to a destination that is not configured"
        );
        let nats = &self.setup.nats;
        let event =
            delivery(&notification(alert, route), UNKNOWN_DESTINATION, Ending::dead(&why)).into();
        publish(nats, event, None, retry).await?.context("publish a delivery")?;
        publish_dead_letter(nats, ALERTS, &work.message, &why, retry).await?;
        self.metrics().routed.with_label_values(&[UNKNOWN_DESTINATION]).inc();
        self.metrics().deliveries.with_label_values(&[UNKNOWN_DESTINATION, "dead"]).inc();
        Ok(())
    }

    async fn reject(&self, work: &Work, why: &str, retry: &RecordingRetry) -> anyhow::Result<()> {
        tracing::error!(
            subject = work.message.subject,
            sequence = work.message.sequence,
            why,
            "message on ALERT cannot be routed, kept as a dead letter"
        );
        publish_dead_letter(&self.setup.nats, ALERTS, &work.message, why, retry).await?;
        self.metrics().received.with_label_values(&["dead"]).inc();
        Ok(())
    }
}
