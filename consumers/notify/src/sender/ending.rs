//! How a message ended: recorded once, then told. Everything after the record may be done again.

use anyhow::Context as _;
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{DeliveryState, Event, Notification};

use super::{
    Setup,
    courier::{Courier, Parcel},
    digest::Member,
};
use crate::{
    delivery::{Ending, STREAM, delivery, handed_over, keep_as_dead_letter, publish, trace_of},
    record::Record,
};

impl Courier<'_> {
    /// Records how it ended, as its record says, and then tells.
    pub(super) async fn end(&mut self, mut parcel: Parcel<'_>) -> anyhow::Result<()> {
        let Some(ending) = parcel.stored.record.ending() else { return Ok(()) };
        self.stamp(&mut parcel.stored.record);
        self.records.save(&self.setup.name, &mut parcel.stored).await?;
        self.count(&parcel.own, &ending);
        self.keep().await?;
        let alerts = 1 + parcel.stored.record.folded.len();
        let (destination, code) = (&self.setup.name, &parcel.own.alert.code);
        let (state, attempts) = (ending.state.as_str(), ending.attempts);
        match &ending.error {
            None => {
                let message_id = ending.message_id.as_deref().unwrap_or_default();
                tracing::info!(
                    destination,
                    code,
                    state,
                    attempts,
                    alerts,
                    message_id,
                    "message sent"
                );
            }
            Some(why) if ending.state == DeliveryState::Dead => {
                tracing::error!(
                    destination,
                    code,
                    state,
                    attempts,
                    alerts,
                    why,
                    "message was not sent, kept as a dead letter"
                );
            }
            Some(why) => {
                tracing::warn!(
                    destination,
                    code,
                    state,
                    attempts,
                    alerts,
                    why,
                    "message was not sent, or perhaps not"
                );
            }
        }
        self.finish(parcel).await
    }

    /// Tells how it ended, for the message and for those folded into it, and acknowledges it last.
    pub(super) async fn finish(&mut self, parcel: Parcel<'_>) -> anyhow::Result<()> {
        let Some(ending) = parcel.stored.record.ending() else { return Ok(()) };
        let record = &parcel.stored.record;
        for member in self.members(&record.folded).await? {
            self.close_member(&member, &ending).await?;
            self.tell(&member.message, &member.notification, record, &ending).await?;
        }
        self.tell(&parcel.work.message, &parcel.own, record, &ending).await?;
        if let Err(error) = parcel.work.ack().await {
            tracing::warn!(destination = self.setup.name, error = %format!("{error:#}"), "message not acknowledged; it comes again and is known");
        }
        Ok(())
    }

    /// A folded message ends as the one that carried it.
    async fn close_member(&self, member: &Member, ending: &Ending) -> anyhow::Result<()> {
        let name = &self.setup.name;
        if self.records.load(name, &member.notification.id).await?.is_some() {
            return Ok(());
        }
        let mut stored = self.fresh(member.notification.id.clone());
        stored.record.done(ending.clone());
        self.records.save(name, &mut stored).await?;
        self.count(&member.notification, ending);
        self.setup.metrics.digested.with_label_values(&[name]).inc();
        Ok(())
    }

    /// Publishes the result. What surely or perhaps did not arrive is told to the fallback; what a
    /// person may want to send again is kept as a dead letter.
    async fn tell(
        &self,
        message: &StreamMessage,
        notification: &Notification,
        record: &Record,
        ending: &Ending,
    ) -> anyhow::Result<()> {
        let Setup { nats, destination, .. } = self.setup;
        let why = ending.error.as_deref().unwrap_or_default();
        let (is_kept, handed) = match ending.state {
            DeliveryState::Sent | DeliveryState::Repeated => (false, None),
            DeliveryState::Dead => (true, Some(format!("was not told: {why}"))),
            DeliveryState::Expired => (false, Some(format!("was not told in time: {why}"))),
            DeliveryState::Uncertain => {
                (record.is_given_up(), Some(format!("was perhaps not told: {why}")))
            }
        };
        if is_kept {
            keep_as_dead_letter(nats, STREAM, message, why, &self.retry).await?;
        }
        let is_told = message.sequence <= self.copied;
        if let Some(why) = handed.filter(|_| !is_told) {
            self.hand_over(message, notification, &why).await?;
        }
        let event = Event::from(delivery(notification, destination.channel(), ending.clone()));
        publish(nats, event, trace_of(message), &self.retry)
            .await?
            .context("publish a delivery")?;
        Ok(())
    }

    /// Makes the message for the fallback, if there is one that has not been told anyway.
    pub(super) async fn hand_over(
        &self,
        message: &StreamMessage,
        notification: &Notification,
        why: &str,
    ) -> anyhow::Result<()> {
        let Setup { nats, destination, metrics, .. } = self.setup;
        let Some(fallback) = &destination.policy().fallback else { return Ok(()) };
        if notification.alert.routes.contains(fallback) {
            return Ok(());
        }
        let copy = handed_over(notification, fallback, why);
        let known = self.records.load(fallback, &copy.id).await?.is_some();
        if known {
            return Ok(());
        }
        let published = publish(nats, Event::from(copy), trace_of(message), &self.retry).await?;
        if published.with_context(|| format!("route to fallback {fallback}"))? {
            metrics.routed.with_label_values(&[fallback]).inc();
        }
        Ok(())
    }

    fn count(&self, notification: &Notification, ending: &Ending) {
        let Setup { name, metrics, .. } = self.setup;
        metrics.deliveries.with_label_values(&[name.as_str(), ending.state.as_str()]).inc();
        let seen_at_us = notification.alert.seen_at_us;
        let sent = matches!(ending.state, DeliveryState::Sent | DeliveryState::Repeated);
        if sent && seen_at_us > 0 {
            let seconds = (ending.done_at_us - seen_at_us).max(0) as f64 / 1e6;
            metrics.seen_to_sent.with_label_values(&[name]).observe(seconds);
        }
    }
}
