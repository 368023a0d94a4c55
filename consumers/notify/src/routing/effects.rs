//! What a decision does: a message for a sender, or an end that is recorded and published. Every step may be repeated.

use anyhow::Context as _;
use bytes::Bytes;
use crypto_intel_nats::{OutMessage, TermEnd};
use crypto_intel_schemas::{Delivery, Event, Notification, subjects};
use crypto_intel_service::now_us;
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream::{self, StreamExt as _, TryStreamExt as _},
};

use super::{
    dispatch::Dispatcher,
    judge::Kept,
    open::{AT_ONCE, HeldGroup},
};
use crate::records::{
    delivery::{Ending, delivery, publish},
    record::{Stored, UnreadableRecord},
};

/// Messages of a group that are published together.
const TOGETHER: usize = 200;

/// Something that was decided and is still to be done. It may be done again.
#[derive(Debug)]
pub(crate) enum Act {
    /// A message for a sender.
    Send { message: Notification, trace: Option<String> },
    /// A message that ends here.
    Keep { message: Notification, kept: Kept },
}

impl Dispatcher<'_> {
    /// Does one thing that was decided.
    pub(crate) async fn act(&self, act: Act) -> anyhow::Result<()> {
        match act {
            Act::Send { message, trace } => self.send(message, trace.as_deref()).await,
            Act::Keep { message, kept } => self.keep_back(&message, &kept).await,
        }
    }

    /// Does all of these, side by side.
    pub(crate) async fn act_all(&self, acts: Vec<Act>) -> anyhow::Result<()> {
        let acts: Vec<BoxFuture<'_, anyhow::Result<()>>> =
            acts.into_iter().map(|act| self.act(act).boxed()).collect();
        let mut acts = stream::iter(acts).buffer_unordered(AT_ONCE);
        while acts.try_next().await?.is_some() {}
        Ok(())
    }

    /// Publishes a message for its sender.
    pub(crate) async fn send(
        &self,
        message: Notification,
        trace: Option<&str>,
    ) -> anyhow::Result<()> {
        let destination = message.destination.clone();
        let kept_as_letter = message.clone();
        match publish(&self.setup.nats, Event::from(message), trace, &self.retry).await? {
            Ok(true) => self.setup.metrics.routed.with_label_values(&[&destination]).inc(),
            Ok(false) => {}
            // Too large for the server: it ends here, and says so.
            Err(error) => self.end_dead(&kept_as_letter, &format!("{error:#}")).await?,
        }
        Ok(())
    }

    async fn end_dead(&self, message: &Notification, why: &str) -> anyhow::Result<()> {
        tracing::error!(
            destination = message.destination,
            code = message.alert.code,
            why,
            "message cannot be published, it ends as dead"
        );
        self.end(message, Ending::dead(why), None).await
    }

    /// Ends a message that is not sent on purpose.
    pub(crate) async fn keep_back(
        &self,
        message: &Notification,
        kept: &Kept,
    ) -> anyhow::Result<()> {
        let ending = Ending {
            state: kept.state,
            attempts: 0,
            message_id: None,
            error: Some(kept.why.clone()),
            done_at_us: now_us(),
        };
        self.end(message, ending, kept.cause.clone()).await
    }

    /// Records an end, unless a sender has the message already, then publishes what the record says.
    async fn end(
        &self,
        message: &Notification,
        ending: Ending,
        cause: Option<String>,
    ) -> anyhow::Result<()> {
        let name = &message.destination;
        let mut stored = Stored::new(&message.id, &self.owner);
        stored.record.done(ending.clone());
        stored.record.cause = cause;
        loop {
            let found = match self.records.load(name, &message.id).await {
                // It was handled by another version: that one says how it ended.
                Err(error) if error.is::<UnreadableRecord>() => return Ok(()),
                other => other?,
            };
            if let Some(found) = found {
                let Some(ending) = found.record.ending() else { return Ok(()) };
                return self.publish_end(message, ending, found.record.cause).await;
            }
            match self.records.save(name, &mut stored).await {
                Ok(()) => break,
                Err(error) if TermEnd::of(&error) == Some(TermEnd::Replaced) => {}
                Err(error) => return Err(error),
            }
        }
        let metrics = &self.setup.metrics;
        metrics.routed.with_label_values(&[name]).inc();
        metrics.deliveries.with_label_values(&[name, ending.state.as_str()]).inc();
        let cause = stored.record.cause;
        self.publish_end(message, ending, cause).await
    }

    async fn publish_end(
        &self,
        message: &Notification,
        ending: Ending,
        cause: Option<String>,
    ) -> anyhow::Result<()> {
        let name = message.destination.as_str();
        let channel = self.setup.channels.get(name).copied().unwrap_or_default();
        let event = Event::from(Delivery { cause, ..delivery(message, channel, ending) });
        publish(&self.setup.nats, event, None, &self.retry).await?.context("publish a delivery")?;
        Ok(())
    }

    /// Publishes messages so that their sender sees them together, and tells them as one.
    pub(super) async fn send_together(
        &self,
        mut messages: Vec<Notification>,
        group: &HeldGroup,
        now: i64,
    ) -> anyhow::Result<()> {
        let name =
            (messages.len() > 1).then(|| format!("{}:{}", group.hold.group, group.hold.until_us));
        for message in &mut messages {
            message.group.clone_from(&name);
            // Its age starts now: it was not late, it had to wait.
            message.observed_at_us = now.max(message.observed_at_us + 1);
        }
        for part in messages.chunks(TOGETHER) {
            if part.len() > 1 && self.publish_batch(part).await? {
                let metrics = &self.setup.metrics;
                metrics.routed.with_label_values(&[&group.destination]).inc_by(part.len() as u64);
                continue;
            }
            for message in part {
                self.send(message.clone(), None).await?;
            }
        }
        Ok(())
    }

    /// All or none; `false` when some of them are there already, or are refused.
    async fn publish_batch(&self, part: &[Notification]) -> anyhow::Result<bool> {
        let messages: Vec<OutMessage> = part
            .iter()
            .map(|message| {
                let event = Event::from(message.clone());
                OutMessage::new(subjects::of(&event), Bytes::from(event.encode()))
                    .schema(event.kind().schema())
                    .message_id(event.id())
            })
            .collect();
        let nats = &self.setup.nats;
        let published = self
            .retry
            .run("publish a group", async || nats.publish_together(&messages, None).await)
            .await?;
        if let Err(error) = &published {
            tracing::debug!(error = %format!("{error:#}"), "a group is published one by one");
        }
        Ok(published.is_ok())
    }
}
