//! From alerts to messages: one per alert and destination, in the order of the alerts.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, Work, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::{Alert, Event, Stream, subjects};
use crypto_intel_service::{Context, RecordingRetry, now_us};

use crate::{
    metrics::{Metrics, UNKNOWN_DESTINATION},
    records::delivery::{
        CONSUMER, Ending, delivery, notification, publish, publish_dead_letter, trace_of,
    },
    sender::report_progress,
};

const ALERTS: &str = Stream::Alert.name();
const ACK_WAIT: Duration = Duration::from_secs(5);
/// An alert that takes longer than this to be routed makes the probe unhealthy.
const MAX_ROUTING_TIME: Duration = Duration::from_secs(15);
/// How often the connection is checked.
const CONNECTION_INTERVAL: Duration = Duration::from_secs(1);

/// What the router needs.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) nats: Nats,
    pub(crate) destinations: BTreeSet<String>,
    /// Destination of alerts that name none, or none that is configured.
    pub(crate) unrouted: Option<String>,
    pub(crate) metrics: Metrics,
}

/// Routes until the process stops. Several instances may run: the server hands out one alert at a
/// time, which also keeps the order.
pub(crate) async fn run(router: Arc<Router>, context: Context) -> anyhow::Result<()> {
    let probe = context.health.probe("notify.router", None);
    let options = WorkQueueOptions {
        filter: subjects::ALERT_ALL.to_owned(),
        ack_wait: ACK_WAIT,
        max_ack_pending: 1,
        prefetch: 1,
    };
    let mut queue = WorkQueue::open(&router.nats, ALERTS, CONSUMER, options)
        .await
        .context("open the queue of alerts")?;
    let retry = RecordingRetry::until(&context.shutdown);
    let mut looks = tokio::time::interval(CONNECTION_INTERVAL);
    let mut idle = "waiting for alerts".to_owned();
    loop {
        let work = tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            work = queue.next() => work.context("take an alert")?,
            // An empty queue looks the same with and without a connection.
            _ = looks.tick() => {
                match router.nats.connection() {
                    Ok(()) => probe.healthy(&*idle),
                    Err(reason) => probe.unhealthy(format!("not connected to nats: {reason}")),
                }
                continue;
            }
        };
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
            routed = router.route(&work, &retry) => routed,
            never = report_progress(&work, slow) => match never {},
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
        idle = format!("at alert {}, {late} s behind it", work.message.sequence);
        probe.healthy(&*idle);
    }
}

impl Router {
    async fn route(&self, work: &Work, retry: &RecordingRetry) -> anyhow::Result<()> {
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
        let mut routes: BTreeSet<&String> = alert.routes.iter().collect();
        if !routes.iter().any(|route| self.destinations.contains(*route)) {
            routes.extend(&self.unrouted);
        }
        if routes.is_empty() {
            self.metrics.received.with_label_values(&["unrouted"]).inc();
            return Ok(());
        }
        for route in routes {
            if self.destinations.contains(route) {
                self.send_to(route, &alert, work, retry).await?;
            } else {
                self.route_to_unknown(route, &alert, work, retry).await?;
            }
        }
        self.metrics.received.with_label_values(&["routed"]).inc();
        Ok(())
    }

    async fn send_to(
        &self,
        route: &str,
        alert: &Alert,
        work: &Work,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let event = Event::from(notification(alert, route));
        let trace = trace_of(&work.message);
        match publish(&self.nats, event, trace, retry).await? {
            Ok(true) => self.metrics.routed.with_label_values(&[route]).inc(),
            Ok(false) => {}
            Err(error) => self.reject(work, &format!("{error:#}"), retry).await?,
        }
        Ok(())
    }

    /// A route to an unknown destination ends at once, counted and kept as a dead letter.
    async fn route_to_unknown(
        &self,
        route: &str,
        alert: &Alert,
        work: &Work,
        retry: &RecordingRetry,
    ) -> anyhow::Result<()> {
        let known: Vec<&str> = self.destinations.iter().map(String::as_str).collect();
        let why = format!("no destination {route:?} (known: {})", known.join(", "));
        tracing::warn!(
            rule = alert.rule,
            code = alert.code,
            route,
            "alert is routed to a destination that is not configured"
        );
        let event =
            delivery(&notification(alert, route), UNKNOWN_DESTINATION, Ending::dead(&why)).into();
        publish(&self.nats, event, None, retry).await?.context("publish a delivery")?;
        publish_dead_letter(&self.nats, ALERTS, &work.message, &why, retry).await?;
        self.metrics.routed.with_label_values(&[UNKNOWN_DESTINATION]).inc();
        self.metrics.deliveries.with_label_values(&[UNKNOWN_DESTINATION, "dead"]).inc();
        Ok(())
    }

    async fn reject(&self, work: &Work, why: &str, retry: &RecordingRetry) -> anyhow::Result<()> {
        tracing::error!(
            subject = work.message.subject,
            sequence = work.message.sequence,
            why,
            "message on ALERT cannot be routed, kept as a dead letter"
        );
        publish_dead_letter(&self.nats, ALERTS, &work.message, why, retry).await?;
        self.metrics.received.with_label_values(&["dead"]).inc();
        Ok(())
    }
}
