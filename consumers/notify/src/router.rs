//! From alerts to messages: decided in the order of the alerts, done side by side. One instance at a time routes: it
//! remembers what lasts and what waits.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Bucket, KvWatch, Leadership, Nats, Term, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::{Stream, subjects};
use crypto_intel_service::{Context, Probe, RecordingRetry};
use tokio::time::MissedTickBehavior;

use crate::{
    config::Config,
    metrics::Metrics,
    records::delivery::CONSUMER,
    routing::{
        dead_man::Pulse,
        dispatch::{Dispatcher, Setup},
        reload::RouteFile,
        round::{ROUND, handle, take},
        sights::{Sights, tell},
        watchdog::Watchdog,
    },
};

const ALERTS: &str = Stream::Alert.name();
/// Key of the router's lease. Those of destinations have no dot in their name.
const LEASE: &str = "notify.task.router";
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How often groups, reminders and the ends of silences are looked for.
const TICK: Duration = Duration::from_millis(250);
/// How often the connection and the file of routes are looked at, in ticks.
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
    let tree = term.until_over(file.first(&dispatcher.store)).await.context("read the routes")?;
    dispatcher.set_tree(tree);
    let options = WorkQueueOptions {
        filter: subjects::ALERT_ALL.to_owned(),
        ack_wait: ACK_WAIT,
        max_ack_pending: ROUND,
        prefetch: ROUND as usize,
    };
    let mut queue = WorkQueue::open(nats, ALERTS, CONSUMER, options)
        .await
        .context("open the queue of alerts")?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sights = Sights::new(&dispatcher);
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
                    look(router, probe, &idle);
                }
            }
            sight = sights.next() => tell(router, &dispatcher, sight).await,
            works = take(&mut queue) => {
                idle = handle(router, &mut dispatcher, &works?, probe, &retry).await?;
            }
        }
    }
}

/// Looks at the connection: an empty queue looks the same with and without one.
fn look(router: &Router, probe: &Probe, idle: &str) {
    match router.setup.nats.connection() {
        Ok(()) => probe.healthy(idle),
        Err(reason) => probe.unhealthy(format!("not connected to nats: {reason}")),
    }
}

/// Silences, subscriptions and acknowledgements as others write them.
struct Changes {
    silences: KvWatch,
    subscriptions: KvWatch,
    acknowledgements: KvWatch,
}

impl Changes {
    async fn open(nats: &Nats) -> anyhow::Result<Self> {
        let silences = nats.kv(Bucket::Silences).await.context("open bucket silences")?;
        let subscriptions =
            nats.kv(Bucket::Subscriptions).await.context("open bucket subscriptions")?;
        let routing = nats.kv(Bucket::Routing).await.context("open bucket routing")?;
        Ok(Self {
            silences: silences.watch_all().await.context("watch the silences")?,
            subscriptions: subscriptions.watch_all().await.context("watch the subscriptions")?,
            acknowledgements: routing.watch("ack.>").await.context("watch acknowledgements")?,
        })
    }

    async fn load(&mut self, dispatcher: &mut Dispatcher<'_>) {
        for change in self.silences.load().await {
            dispatcher.silence_changed(&change.key, change.value.as_deref());
        }
        for change in self.subscriptions.load().await {
            dispatcher.subscriptions.set(&change.key, change.value.as_deref());
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
            Some(change) = self.subscriptions.next() => {
                dispatcher.subscriptions.set(&change.key, change.value.as_deref());
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
                incidents: destinations
                    .iter()
                    .filter(|(_, one)| one.settings().has_incidents())
                    .map(|(name, _)| name.clone())
                    .collect(),
                languages: destinations
                    .iter()
                    .map(|(name, one)| (name.clone(), one.policy().language))
                    .collect(),
            },
            routes: config.routes.clone(),
            watchdog: Watchdog::new(fallbacks.collect(), places_all),
            pulse,
        }
    }
}
