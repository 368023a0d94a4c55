//! How a message ended: recorded once, then published. Everything after the record may be repeated.

use anyhow::Context as _;
use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::{Delivery, DeliveryState, Event, Notification};
use crypto_intel_service::RecordingRetry;
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};

use super::{
    Setup,
    in_flight::{InFlight, Member},
    outbox::Outbox,
};
use crate::{
    records::delivery::{
        Ending, STREAM, delivery, handed_over, publish, publish_dead_letter, trace_of,
    },
    records::record::{Record, Records, Stored},
};

/// Members of a digest that are ended at the same time.
pub(super) const MEMBERS_AT_ONCE: usize = 16;

/// Records and publishes the ends of one destination's messages.
#[derive(Debug)]
pub(super) struct Results<'a> {
    pub(super) setup: &'a Setup,
    pub(super) records: Records,
    pub(super) retry: RecordingRetry,
    /// This instance.
    pub(super) owner: String,
}

impl Results<'_> {
    /// Publishes how a message ended, and how those folded into it did, and acknowledges it last.
    /// The fallback has got messages up to the stream sequence `copied` already.
    pub(super) async fn publish(
        &self,
        in_flight: &InFlight<'_>,
        outbox: &Outbox,
        copied: u64,
    ) -> anyhow::Result<()> {
        let record = &in_flight.stored.record;
        let Some(ending) = record.ending() else { return Ok(()) };
        let members = outbox.members(&record.folded).await?;
        let ends: Vec<BoxFuture<'_, anyhow::Result<()>>> = members
            .iter()
            .map(|member| {
                async {
                    self.end_member(member, &ending).await?;
                    let Member { message, notification } = member;
                    self.publish_one(message, notification, record, &ending, copied).await
                }
                .boxed()
            })
            .collect();
        let mut ends = stream::iter(ends).buffer_unordered(MEMBERS_AT_ONCE);
        while ends.try_next().await?.is_some() {}
        let message = &in_flight.work.message;
        self.publish_one(message, &in_flight.own, record, &ending, copied).await?;
        if let Err(error) = in_flight.work.ack().await {
            tracing::warn!(destination = self.setup.name, error = %format!("{error:#}"), "message not acknowledged; its redelivery is recognised by its record");
        }
        Ok(())
    }

    /// A folded message ends as the one that carried it.
    async fn end_member(&self, member: &Member, ending: &Ending) -> anyhow::Result<()> {
        let name = &self.setup.name;
        if self.records.load(name, &member.notification.id).await?.is_some() {
            return Ok(());
        }
        let mut stored = Stored::new(&member.notification.id, &self.owner);
        stored.record.done(ending.clone());
        stored.record.carried = true;
        self.records.save(name, &mut stored).await?;
        self.count(&member.notification, ending);
        self.setup.metrics.digested.with_label_values(&[name]).inc();
        Ok(())
    }

    /// Publishes one result. Messages that did not certainly arrive go to the fallback; those that a
    /// person may want to send again are kept as dead letters.
    async fn publish_one(
        &self,
        message: &StreamMessage,
        notification: &Notification,
        record: &Record,
        ending: &Ending,
        copied: u64,
    ) -> anyhow::Result<()> {
        let Setup { nats, destination, .. } = self.setup;
        let why = ending.error.as_deref().unwrap_or_default();
        let words = &self.setup.fallback_words.handed_over;
        let (is_kept, handed) = match ending.state {
            DeliveryState::Sent
            | DeliveryState::Repeated
            | DeliveryState::Silenced
            | DeliveryState::Inhibited
            | DeliveryState::Muted => (false, None),
            DeliveryState::Dead => (true, Some(words.dead)),
            DeliveryState::Expired => (false, Some(words.expired)),
            DeliveryState::Uncertain => (record.is_given_up(), Some(words.doubtful)),
        };
        if is_kept {
            publish_dead_letter(nats, STREAM, message, why, &self.retry).await?;
        }
        if let Some(text) = handed.filter(|_| message.sequence > copied) {
            self.hand_over(message, notification, text, why).await?;
        }
        let told = delivery(notification, destination.channel(), ending.clone());
        let event = Event::from(Delivery { cause: record.cause.clone(), ..told });
        publish(nats, event, trace_of(message), &self.retry)
            .await?
            .context("publish a delivery")?;
        Ok(())
    }

    /// Makes the message for the fallback, if there is one that does not get the alert anyway.
    pub(super) async fn hand_over(
        &self,
        message: &StreamMessage,
        notification: &Notification,
        text: &str,
        why: &str,
    ) -> anyhow::Result<()> {
        let Setup { nats, destination, metrics, .. } = self.setup;
        let Some(fallback) = &destination.policy().fallback else { return Ok(()) };
        if notification.alert.routes.contains(fallback) {
            return Ok(());
        }
        let line = text.replace("{name}", &notification.destination).replace("{why}", why);
        let copy = handed_over(notification, fallback, line);
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

    /// Counts and logs the end of a message, once it is recorded.
    pub(super) fn report(&self, in_flight: &InFlight<'_>, ending: &Ending) {
        self.count(&in_flight.own, ending);
        let alerts = 1 + in_flight.stored.record.folded.len();
        let (destination, code) = (&self.setup.name, &in_flight.own.alert.code);
        let (state, attempts) = (ending.state.as_str(), ending.attempts);
        let (message_id, why) = (ending.message_id.as_deref(), ending.error.as_deref());
        macro_rules! log {
            ($level:ident, $text:literal) => {
                tracing::$level!(destination, code, state, attempts, alerts, message_id, why, $text)
            };
        }
        match ending.state {
            DeliveryState::Sent | DeliveryState::Repeated => log!(info, "message sent"),
            DeliveryState::Dead => log!(error, "message not sent, kept as a dead letter"),
            DeliveryState::Uncertain => log!(warn, "unknown whether the message arrived"),
            DeliveryState::Expired => log!(warn, "message not sent, it is too old"),
            DeliveryState::Silenced | DeliveryState::Inhibited | DeliveryState::Muted => {
                log!(info, "message not sent on purpose");
            }
        }
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
