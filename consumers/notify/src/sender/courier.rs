use std::time::Duration;

use anyhow::Context as _;
use crypto_intel_nats::{StreamMessage, Work};
use crypto_intel_schemas::{Alert, DeliveryState, Event, Notification};
use crypto_intel_service::now_us;
use tokio_util::sync::CancellationToken;

use super::{Setup, digest::Member};
use crate::{
    channel::Channel,
    config::InDoubt,
    delivery::{Ending, STREAM, bury, delivery, notification, publish, trace_of},
    record::{Record, RecordError, Records, Step, Stored},
};

/// Clocks of two machines may differ by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// Carries the messages of one destination while this instance holds its lease.
#[derive(Debug)]
pub(super) struct Courier<'a> {
    pub(super) setup: &'a Setup,
    pub(super) records: Records,
    pub(super) channel: Channel,
    pub(super) owner: String,
    pub(super) shutdown: CancellationToken,
    pub(super) lost: CancellationToken,
    /// Attempts in a row that did not get through.
    pub(super) failures: u32,
}

/// What comes after a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next one.
    Message,
    /// Nothing: told to stop, or another instance is active.
    Stop,
}

/// A message in hand: what it tells, and its record.
#[derive(Debug)]
pub(super) struct Parcel<'w> {
    pub(super) work: &'w Work,
    /// The message's own alert first, then those folded into it.
    pub(super) alerts: Vec<Alert>,
    pub(super) stored: Stored,
}

impl Parcel<'_> {
    pub(super) fn head(&self) -> &Alert {
        // Made with the message's own alert, and alerts are only added.
        &self.alerts[0]
    }
}

impl Courier<'_> {
    /// Fires when sending must stop.
    pub(super) async fn stopping(&self) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.lost.cancelled() => {}
        }
    }

    /// Waits for `future`, but not beyond the moment when sending must stop.
    pub(super) async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopping() => None,
            output = future => Some(output),
        }
    }

    /// Brings one message to its end.
    pub(super) async fn handle(&mut self, work: &Work) -> anyhow::Result<Next> {
        match self.try_handle(work).await {
            Ok(next) => Ok(next),
            Err(error) => match error.downcast_ref::<RecordError>() {
                Some(RecordError::Stopped) => Ok(Next::Stop),
                Some(RecordError::Overtaken { delivery }) => {
                    tracing::warn!(
                        destination = self.setup.name,
                        delivery,
                        "another instance is sending this message, stopping"
                    );
                    Ok(Next::Stop)
                }
                _ => Err(error),
            },
        }
    }

    async fn try_handle(&mut self, work: &Work) -> anyhow::Result<Next> {
        let notification = match decode(&work.message) {
            Ok(notification) => notification,
            Err(why) => return self.give_up(work, &why).await,
        };
        let name = &self.setup.name;
        let loaded = match self.records.load(name, &notification.id).await {
            Err(RecordError::Unreadable { delivery, source }) => {
                let why = format!("record of {delivery} cannot be read: {source}");
                return self.give_up(work, &why).await;
            }
            other => other?,
        };
        let stored = loaded.unwrap_or_else(|| self.fresh(notification.id.clone()));
        let mut alerts = vec![notification.alert];
        for member in self.members(&stored.record.folded).await? {
            alerts.push(member.alert);
        }
        let parcel = Parcel { work, alerts, stored };
        if parcel.stored.record.ending().is_some() {
            return self.finish(parcel).await;
        }
        self.resume(parcel).await
    }

    pub(super) fn fresh(&self, delivery: String) -> Stored {
        let record = Record {
            delivery,
            step: Step::Wait { not_before_us: 0, why: String::new() },
            attempts: 0,
            uncertain: false,
            plain: false,
            folded: Vec::new(),
            owner: self.owner.clone(),
            at_us: now_us(),
        };
        Stored { record, revision: 0 }
    }

    /// An attempt without a result is uncertain: once it is surely over, policy decides.
    async fn resume(&mut self, mut parcel: Parcel<'_>) -> anyhow::Result<Next> {
        if let Step::Attempt { until_us, .. } = parcel.stored.record.step {
            let timeout = self.setup.destination.policy().timeout() + CLOCK_SKEW;
            // A clock that was wrong then or is wrong now must not hold us up for ever.
            let left = us_until(until_us).saturating_add(CLOCK_SKEW).min(timeout);
            if self.unless_stopped(tokio::time::sleep(left)).await.is_none() {
                return Ok(Next::Stop);
            }
            tracing::warn!(
                destination = self.setup.name,
                delivery = parcel.stored.record.delivery,
                owner = parcel.stored.record.owner,
                "attempt without a result: nobody knows whether it arrived"
            );
            parcel.stored.record.uncertain = true;
            if self.in_doubt(&parcel) == InDoubt::Skip {
                let attempts = parcel.stored.record.attempts;
                let why = "an attempt was cut in the middle and is not repeated";
                let ending = Ending::unsent(DeliveryState::Uncertain, attempts, why);
                return self.end(parcel, ending).await;
            }
        }
        self.deliver(parcel).await
    }

    pub(super) fn in_doubt(&self, parcel: &Parcel<'_>) -> InDoubt {
        let severity = parcel.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default();
        self.setup.destination.policy().after_uncertain.of(severity)
    }

    /// Records how it ended, once, and then tells.
    pub(super) async fn end(
        &mut self,
        mut parcel: Parcel<'_>,
        ending: Ending,
    ) -> anyhow::Result<Next> {
        parcel.stored.record.done(ending.clone());
        self.stamp(&mut parcel.stored.record);
        self.records.save(&self.setup.name, &mut parcel.stored).await?;
        self.count(parcel.head(), &ending);
        self.finish(parcel).await
    }

    /// Tells how it ended, for the message and for those folded into it, and acknowledges it last.
    /// Everything here may be done again.
    async fn finish(&mut self, parcel: Parcel<'_>) -> anyhow::Result<Next> {
        let Some(ending) = parcel.stored.record.ending() else { return Ok(Next::Stop) };
        for member in self.members(&parcel.stored.record.folded).await? {
            self.settle(&member, &ending).await?;
            if !self.tell(&member.message, &member.alert, &ending).await? {
                return Ok(Next::Stop);
            }
        }
        if !self.tell(&parcel.work.message, parcel.head(), &ending).await? {
            return Ok(Next::Stop);
        }
        if let Err(error) = parcel.work.ack().await {
            tracing::warn!(destination = self.setup.name, error = %format!("{error:#}"), "message not acknowledged; it comes again and is known");
        }
        Ok(Next::Message)
    }

    /// A folded message ends as the one that carried it.
    async fn settle(&self, member: &Member, ending: &Ending) -> anyhow::Result<()> {
        let name = &self.setup.name;
        if self.records.load(name, &member.delivery).await?.is_some() {
            return Ok(());
        }
        let mut stored = self.fresh(member.delivery.clone());
        stored.record.done(ending.clone());
        self.records.save(name, &mut stored).await?;
        self.count(&member.alert, ending);
        self.setup.metrics.digested.with_label_values(&[name]).inc();
        Ok(())
    }

    /// Publishes the result; what is dead also becomes a dead letter and goes to the fallback.
    /// `false` when told to stop first.
    async fn tell(
        &self,
        message: &StreamMessage,
        alert: &Alert,
        ending: &Ending,
    ) -> anyhow::Result<bool> {
        let Setup { nats, name, destination, .. } = self.setup;
        if ending.state == DeliveryState::Dead {
            let why = ending.error.as_deref().unwrap_or_default();
            let Some(buried) = bury(nats, STREAM, message, why, &self.shutdown).await else {
                return Ok(false);
            };
            buried.context("publish a dead letter")?;
            if let Some(fallback) = &destination.policy().fallback {
                let event = Event::from(notification(alert, fallback));
                let trace = trace_of(message);
                let Some(sent) = publish(nats, event, trace, &self.shutdown).await else {
                    return Ok(false);
                };
                sent.with_context(|| format!("route to fallback {fallback}"))?;
            }
        }
        let event = Event::from(delivery(alert, name, destination.channel(), ending.clone()));
        let Some(published) = publish(nats, event, trace_of(message), &self.shutdown).await else {
            return Ok(false);
        };
        published.context("publish a delivery")?;
        Ok(true)
    }

    fn count(&self, alert: &Alert, ending: &Ending) {
        let Setup { name, destination, metrics, .. } = self.setup;
        metrics.deliveries.with_label_values(&[name.as_str(), ending.state.as_str()]).inc();
        let sent = matches!(ending.state, DeliveryState::Sent | DeliveryState::Repeated);
        if sent && alert.seen_at_us > 0 {
            let seconds = (ending.done_at_us - alert.seen_at_us).max(0) as f64 / 1e6;
            metrics.seen_to_sent.with_label_values(&[name]).observe(seconds);
        }
        if ending.state == DeliveryState::Dead
            && let Some(fallback) = &destination.policy().fallback
        {
            metrics.routed.with_label_values(&[fallback]).inc();
        }
    }

    pub(super) fn stamp(&self, record: &mut Record) {
        record.owner.clone_from(&self.owner);
        record.at_us = now_us();
    }

    /// A message that is none of ours: kept as a dead letter, then on.
    async fn give_up(&self, work: &Work, why: &str) -> anyhow::Result<Next> {
        tracing::error!(
            destination = self.setup.name,
            sequence = work.message.sequence,
            why,
            "message on NOTIFY cannot be handled, kept as a dead letter"
        );
        let buried = bury(&self.setup.nats, STREAM, &work.message, why, &self.shutdown).await;
        let Some(buried) = buried else { return Ok(Next::Stop) };
        buried.context("publish a dead letter")?;
        work.ack().await.context("acknowledge a message")?;
        Ok(Next::Message)
    }
}

/// The message to be sent, or why it is none.
pub(super) fn decode(message: &StreamMessage) -> Result<Notification, String> {
    match Event::decode(&message.payload) {
        Ok(Event::Notification(notification)) => Ok(notification),
        Ok(other) => Err(format!("{} is no notification", other.kind())),
        Err(error) => Err(format!("{:#}", anyhow::Error::new(error))),
    }
}

pub(super) fn us_until(at_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(at_us.saturating_sub(now_us())).unwrap_or(0))
}
