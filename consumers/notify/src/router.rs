//! From alerts to messages: one per alert and destination, in the order of the alerts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Nats, Work, WorkQueue, WorkQueueOptions};
use crypto_intel_schemas::{Alert, Event, subjects};
use crypto_intel_service::{Context, now_us};

use crate::{
    delivery::{CONSUMER, Ending, bury, delivery, notification, publish, trace_of},
    metrics::Metrics,
    sender::beat,
};

const ALERTS: &str = "ALERT";
const ACK_WAIT: Duration = Duration::from_secs(5);
/// The label of routes that name no destination: their names are not ours.
const UNKNOWN: &str = "unknown";

/// What the router needs.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) nats: Nats,
    pub(crate) destinations: BTreeSet<String>,
    pub(crate) metrics: Metrics,
}

/// How handling a message ended.
enum Routed {
    Done,
    Stopped,
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
    probe.healthy("waiting for alerts");
    loop {
        let work = tokio::select! {
            () = context.shutdown.cancelled() => return Ok(()),
            work = queue.next() => work.context("take an alert")?,
        };
        let routed = tokio::select! {
            routed = router.route(&work, &context) => routed?,
            () = beat(&work, || {}) => Routed::Stopped,
        };
        match routed {
            Routed::Done => {
                if let Err(error) = work.ack().await {
                    tracing::warn!(sequence = work.message.sequence, error = %format!("{error:#}"), "alert not acknowledged, it is routed again");
                }
                let late = (now_us() - work.message.stored_at_us) / 1_000_000;
                probe.healthy(format!("at alert {}, {late} s behind it", work.message.sequence));
            }
            Routed::Stopped => {
                // Whoever runs next need not wait for it.
                let _ = work.retry_after(Duration::ZERO).await;
            }
        }
    }
}

impl Router {
    async fn route(&self, work: &Work, context: &Context) -> anyhow::Result<Routed> {
        let message = &work.message;
        let alert = match Event::decode(&message.payload) {
            Ok(Event::Alert(alert)) => alert,
            Ok(other) => {
                let why = format!("{} is no alert", other.kind());
                return self.give_up(work, &why, context).await;
            }
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::new(error));
                return self.give_up(work, &why, context).await;
            }
        };
        if alert.routes.is_empty() {
            self.metrics.received.with_label_values(&["unrouted"]).inc();
            return Ok(Routed::Done);
        }
        let routes: BTreeSet<&String> = alert.routes.iter().collect();
        for route in routes {
            let routed = if self.destinations.contains(route) {
                self.send_to(route, &alert, work, context).await?
            } else {
                self.nowhere(route, &alert, work, context).await?
            };
            if matches!(routed, Routed::Stopped) {
                return Ok(Routed::Stopped);
            }
        }
        self.metrics.received.with_label_values(&["routed"]).inc();
        Ok(Routed::Done)
    }

    async fn send_to(
        &self,
        route: &str,
        alert: &Alert,
        work: &Work,
        context: &Context,
    ) -> anyhow::Result<Routed> {
        let event = Event::from(notification(alert, route));
        let trace = trace_of(&work.message);
        match publish(&self.nats, event, trace, &context.shutdown).await {
            None => Ok(Routed::Stopped),
            Some(Ok(())) => {
                self.metrics.routed.with_label_values(&[route]).inc();
                Ok(Routed::Done)
            }
            Some(Err(error)) => self.give_up(work, &format!("{error:#}"), context).await,
        }
    }

    /// A route that names no destination ends at once, counted and listed.
    async fn nowhere(
        &self,
        route: &str,
        alert: &Alert,
        work: &Work,
        context: &Context,
    ) -> anyhow::Result<Routed> {
        let known: Vec<&str> = self.destinations.iter().map(String::as_str).collect();
        let why = format!("no destination {route:?} (known: {})", known.join(", "));
        tracing::warn!(
            rule = alert.rule,
            code = alert.code,
            route,
            "alert is routed to a destination that is not configured"
        );
        let event = Event::from(delivery(alert, route, UNKNOWN, Ending::dead(0, &why)));
        let Some(published) = publish(&self.nats, event, None, &context.shutdown).await else {
            return Ok(Routed::Stopped);
        };
        published.context("publish a delivery")?;
        let Some(buried) = bury(&self.nats, ALERTS, &work.message, &why, &context.shutdown).await
        else {
            return Ok(Routed::Stopped);
        };
        buried.context("publish a dead letter")?;
        self.metrics.routed.with_label_values(&[UNKNOWN]).inc();
        self.metrics.deliveries.with_label_values(&[UNKNOWN, "dead"]).inc();
        Ok(Routed::Done)
    }

    async fn give_up(&self, work: &Work, why: &str, context: &Context) -> anyhow::Result<Routed> {
        tracing::error!(
            subject = work.message.subject,
            sequence = work.message.sequence,
            why,
            "message on ALERT cannot be routed, kept as a dead letter"
        );
        let Some(buried) = bury(&self.nats, ALERTS, &work.message, why, &context.shutdown).await
        else {
            return Ok(Routed::Stopped);
        };
        buried.context("publish a dead letter")?;
        self.metrics.received.with_label_values(&["dead"]).inc();
        Ok(Routed::Done)
    }
}
