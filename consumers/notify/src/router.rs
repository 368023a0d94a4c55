//! From alerts to messages: one per alert and destination, in the order of the alerts.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, Work, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::{Alert, Event, subjects};
use crypto_intel_service::{Context, RecordingRetry, now_us};

use crate::{
    delivery::{CONSUMER, Ending, delivery, keep_as_dead_letter, notification, publish, trace_of},
    metrics::Metrics,
    sender::beat,
};

const ALERTS: &str = "ALERT";
const ACK_WAIT: Duration = Duration::from_secs(5);
/// An alert that takes longer than this to be routed is told by the probe.
const SLOW: Duration = Duration::from_secs(15);
/// How often it is looked whether NATS is there.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// The label of routes that name no destination: their names are not ours.
const UNKNOWN: &str = "unknown";

/// What the router needs.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) nats: Nats,
    pub(crate) destinations: BTreeSet<String>,
    /// Destination of alerts that name none, or none that is configured.
    pub(crate) unrouted: Option<String>,
    pub(crate) metrics: Metrics,
}

/// Routes until told to stop. Several instances may run: the server hands out one alert at a time,
/// which is also what keeps the order.
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
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    let mut idle = "waiting for alerts".to_owned();
    loop {
        let work = tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            work = queue.next() => work.context("take an alert")?,
            // A queue that nothing comes from looks the same whether NATS is there or not.
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
            if began.elapsed() >= SLOW {
                let why = retry.last_error().suffix();
                probe.unhealthy(format!(
                    "alert {} cannot be routed for {seconds} s{why}",
                    work.message.sequence
                ));
            }
        };
        let routed = tokio::select! {
            routed = router.route(&work, &retry) => routed,
            never = beat(&work, slow) => match never {},
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
                return self.give_up(work, &why, retry).await;
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::new(error));
                return self.give_up(work, &why, retry).await;
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
                self.nowhere(route, &alert, work, retry).await?;
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
            Err(error) => self.give_up(work, &format!("{error:#}"), retry).await?,
        }
        Ok(())
    }

    /// A route that names no destination ends at once, counted and listed.
    async fn nowhere(
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
        let event = delivery(&notification(alert, route), UNKNOWN, Ending::dead(&why)).into();
        publish(&self.nats, event, None, retry).await?.context("publish a delivery")?;
        keep_as_dead_letter(&self.nats, ALERTS, &work.message, &why, retry).await?;
        self.metrics.routed.with_label_values(&[UNKNOWN]).inc();
        self.metrics.deliveries.with_label_values(&[UNKNOWN, "dead"]).inc();
        Ok(())
    }

    async fn give_up(&self, work: &Work, why: &str, retry: &RecordingRetry) -> anyhow::Result<()> {
        tracing::error!(
            subject = work.message.subject,
            sequence = work.message.sequence,
            why,
            "message on ALERT cannot be routed, kept as a dead letter"
        );
        keep_as_dead_letter(&self.nats, ALERTS, &work.message, why, retry).await?;
        self.metrics.received.with_label_values(&["dead"]).inc();
        Ok(())
    }
}
