//! Routes what has arrived in rounds: decided one after the other, done side by side.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_nats::{Work, WorkQueue};
use crypto_intel_schemas::{Alert, AlertState, Event, Stream};
use crypto_intel_service::{Probe, RecordingRetry, now_us};
use futures::{
    FutureExt as _,
    future::{BoxFuture, join_all},
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use tokio::task::unconstrained;

use super::dispatch::{Decided, Dispatcher};
use crate::{
    metrics::{Metrics, UNKNOWN_DESTINATION},
    records::delivery::{Ending, delivery, notification, publish, publish_dead_letter, trace_of},
    router::Router,
    sender::report_progress,
};

/// Alerts that are routed side by side.
pub(crate) const ROUND: u32 = 64;
const AT_ONCE: usize = ROUND as usize;
/// An alert that takes longer than this to be routed makes the probe unhealthy.
const MAX_ROUTING_TIME: Duration = Duration::from_secs(15);

/// What has arrived, up to as much as is routed together.
pub(crate) async fn take(queue: &mut WorkQueue) -> anyhow::Result<Vec<Work>> {
    let mut works = vec![queue.next().await.context("take an alert")?];
    while works.len() < AT_ONCE {
        // Without `unconstrained` tokio's cooperative budget would make a full buffer look empty.
        let Some(next) = unconstrained(queue.next()).now_or_never() else { break };
        works.push(next.context("take an alert")?);
    }
    Ok(works)
}

/// Routes alerts in rounds and acknowledges them. Returns what the probe says after it.
pub(crate) async fn handle(
    router: &Router,
    dispatcher: &mut Dispatcher<'_>,
    works: &[Work],
    probe: &Probe,
    retry: &RecordingRetry,
) -> anyhow::Result<String> {
    let began = Instant::now();
    let first = works.first().map_or(0, |work| work.message.sequence);
    let slow = || {
        let seconds = began.elapsed().as_secs();
        if began.elapsed() >= MAX_ROUTING_TIME {
            let why = retry.last_error().suffix();
            probe.unhealthy(format!("alert {first} could not be routed for {seconds} s{why}"));
        }
    };
    let routed = tokio::select! {
        routed = route_in_rounds(router, dispatcher, works, retry) => routed,
        never = report_progress(works, slow) => match never {},
    };
    if let Err(error) = routed {
        // So that the next instance need not wait for them.
        let _ = join_all(works.iter().map(|work| work.retry_after(Duration::ZERO))).await;
        return Err(error);
    }
    let last = works.last().map(|work| &work.message);
    let late = last.map_or(0, |last| (now_us() - last.stored_at_us) / 1_000_000);
    let idle =
        format!("at alert {}, {late} s behind it", last.map_or(0, |message| message.sequence));
    probe.healthy(&*idle);
    Ok(idle)
}

/// An alert that was taken, or why it is none.
struct Taken<'w> {
    work: &'w Work,
    alert: Result<Alert, String>,
}

/// What is to be done for it.
struct Job<'w> {
    work: &'w Work,
    decided: Result<(&'w Alert, Decided), &'w str>,
}

impl<'w> Taken<'w> {
    fn new(work: &'w Work) -> Self {
        let alert = match Event::decode(&work.message.payload) {
            Ok(Event::Alert(alert)) => Ok(alert),
            Ok(other) => Err(format!("{} is no alert", other.kind())),
            Err(error) => Err(format!("{:#}", anyhow::Error::new(error))),
        };
        Self { work, alert }
    }

    /// The alert, where what became of an earlier message decides about it.
    fn looks_back(&self) -> Option<&Alert> {
        let is_again = self.work.delivered > 1;
        self.alert.as_ref().ok().filter(|alert| is_again || alert.state != AlertState::Fired)
    }
}

/// Routes the alerts of each round side by side. Of one alert each word has a round of its own, because what follows
/// depends on what became of what it follows.
async fn route_in_rounds(
    router: &Router,
    dispatcher: &mut Dispatcher<'_>,
    works: &[Work],
    retry: &RecordingRetry,
) -> anyhow::Result<()> {
    let mut round: Vec<Taken<'_>> = Vec::new();
    let mut keys = BTreeSet::new();
    for taken in works.iter().map(Taken::new) {
        if let Ok(alert) = &taken.alert
            && !keys.insert(alert.alert.clone())
        {
            router.route(dispatcher, &std::mem::take(&mut round), retry).await?;
            keys = BTreeSet::from([alert.alert.clone()]);
        }
        round.push(taken);
    }
    router.route(dispatcher, &round, retry).await
}

impl Router {
    /// Decides of each alert in their order, then does all of it side by side, and acknowledges them.
    async fn route(
        &self,
        dispatcher: &mut Dispatcher<'_>,
        round: &[Taken<'_>],
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        if round.is_empty() {
            return Ok(());
        }
        self.metrics().rounds.inc();
        let now = now_us();
        dispatcher.release_due(now).await?;
        let back = dispatcher.look_back(round.iter().filter_map(Taken::looks_back)).await?;
        let mut jobs = Vec::with_capacity(round.len());
        for taken in round {
            let decided = match &taken.alert {
                Ok(alert) => {
                    let message = &taken.work.message;
                    let (sequence, trace) = (message.sequence, trace_of(message));
                    Ok((alert, dispatcher.decide(alert, sequence, trace, &back, now).await?))
                }
                Err(why) => Err(why.as_str()),
            };
            jobs.push(Job { work: taken.work, decided });
        }
        self.carry_out(dispatcher, jobs, retry).await?;
        dispatcher.save().await?;
        for acknowledged in join_all(round.iter().map(|taken| taken.work.ack())).await {
            if let Err(error) = acknowledged {
                tracing::warn!(error = %format!("{error:#}"), "alert not acknowledged, it is routed again");
            }
        }
        Ok(())
    }

    /// Does what was decided, side by side. What is polled first in the order of the alerts is published in that order.
    async fn carry_out(
        &self,
        dispatcher: &Dispatcher<'_>,
        jobs: Vec<Job<'_>>,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let doing: Vec<BoxFuture<'_, anyhow::Result<()>>> = jobs
            .into_iter()
            .map(|Job { work, decided }| {
                async move {
                    match decided {
                        Ok((alert, decided)) => {
                            self.do_one(dispatcher, alert, decided, work, retry).await
                        }
                        Err(why) => self.reject(work, why, retry).await,
                    }
                }
                .boxed()
            })
            .collect();
        let mut doing = stream::iter(doing).buffer_unordered(AT_ONCE);
        while doing.try_next().await?.is_some() {}
        Ok(())
    }

    async fn do_one(
        &self,
        dispatcher: &Dispatcher<'_>,
        alert: &Alert,
        decided: Decided,
        work: &Work,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let Decided { routed, acts } = decided;
        for act in acts {
            dispatcher.act(act).await?;
        }
        for route in &routed.unknown {
            self.route_to_unknown(route, alert, work, retry).await?;
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
        publish_dead_letter(nats, Stream::Alert.name(), &work.message, &why, retry).await?;
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
        publish_dead_letter(&self.setup.nats, Stream::Alert.name(), &work.message, why, retry)
            .await?;
        self.metrics().received.with_label_values(&["dead"]).inc();
        Ok(())
    }
}
