//! What is known of a destination rather than of a message: whether it is closed, and where it has
//! moved to.

use anyhow::Context as _;
use crypto_intel_service::{LastError, now_us};

use super::Setup;
use crate::{
    channel::{Channel, Outcome, Scope},
    records::closed::{Closed, Refusal, fingerprint},
    records::record::{Moved, Records},
};

/// A proxy may accept messages but no other requests: each one delays the next message.
const MAX_CHANNEL_REQUESTS: u32 = 3;

/// A change of what is kept of a destination. It is written after the record of the message that
/// brought it: the outcome of an attempt comes first.
#[derive(Debug)]
enum Change {
    Closed(Closed),
    Open,
    Moved(Moved),
}

/// The state of one destination while this instance sends to it.
#[derive(Debug)]
pub(super) struct DestinationState<'a> {
    setup: &'a Setup,
    records: Records,
    last_error: LastError,
    pub(super) channel: Channel,
    /// Whether the bucket says that the destination is closed.
    pub(super) is_recorded_closed: bool,
    /// The fallback has got the waiting messages up to this stream sequence.
    pub(super) copied: u64,
    /// Requests for the channel of a Discord webhook so far.
    channel_requests: u32,
    unsaved: Option<Change>,
}

impl<'a> DestinationState<'a> {
    /// The state that the bucket has, as far as it applies to the configured address.
    pub(super) async fn load(
        setup: &'a Setup,
        records: &Records,
        last_error: &LastError,
    ) -> anyhow::Result<Self> {
        let mut state = Self {
            setup,
            records: records.clone(),
            last_error: last_error.clone(),
            channel: Channel::new(&setup.destination, setup.client.clone()),
            is_recorded_closed: false,
            copied: 0,
            channel_requests: 0,
            unsaved: None,
        };
        state.load_moved_chat().await?;
        state.load_closed().await?;
        Ok(state)
    }

    /// Applies what an outcome says about the destination, and returns what is left for the message.
    pub(super) fn apply(&mut self, outcome: Outcome, code: &str) -> Outcome {
        let setup = self.setup;
        let destination = setup.name.as_str();
        match outcome {
            Outcome::Sent { .. } => {
                self.last_error.clear();
                if self.is_recorded_closed || setup.gate.closed().is_some() {
                    self.reopen("it accepted a message");
                }
            }
            Outcome::Wait { after, scope, .. } => {
                setup.gate.freeze(after, scope);
                if scope == Scope::Service {
                    tracing::warn!(destination, ?after, "the service asks all its clients to wait");
                }
            }
            Outcome::Closed { ref why, hint, whole_bot } => {
                self.close(Refusal { why, hint, whole_bot });
            }
            Outcome::NoTopic { why } if self.drop_topic() => {
                tracing::error!(
                    destination,
                    why,
                    hint = "open the topic again or correct message_thread_id, then restart notify",
                    "the topic accepts no messages, writing to the chat itself"
                );
                return Outcome::Again { why };
            }
            Outcome::NoTopic { why } => {
                let hint = "open the General topic of the chat again";
                self.close(Refusal { why: &why, hint, whole_bot: false });
                return Outcome::Closed { why, hint, whole_bot: false };
            }
            Outcome::Moved { chat_id } if self.move_chat(chat_id) => {
                return Outcome::Again { why: "the group has another number now".to_owned() };
            }
            Outcome::PlainText { ref why } => {
                tracing::error!(
                    destination,
                    code,
                    why,
                    hint = "correct the rule's template, or report a bug",
                    "the service rejects the markup, sending plain text"
                );
            }
            _ => {}
        }
        outcome
    }

    /// Writes what was learnt.
    pub(super) async fn save(&mut self) -> anyhow::Result<()> {
        let name = &self.setup.name;
        match self.unsaved.take() {
            None => {}
            Some(Change::Closed(closed)) => self.records.set_closed(name, &closed).await?,
            Some(Change::Open) => self.records.clear_closed(name).await?,
            Some(Change::Moved(moved)) => self
                .records
                .set_moved_chat(name, moved)
                .await
                .context("remember where the group moved")?,
        }
        Ok(())
    }

    /// Nothing can be sent until the cause is removed: messages wait, and the oldest is retried.
    fn close(&mut self, refusal: Refusal<'_>) {
        let setup = self.setup;
        let earlier = setup.gate.closed();
        let policy = setup.destination.policy();
        let address = fingerprint(&setup.destination);
        let schedule = &policy.probe_after_seconds;
        let mut closed = Closed::after(earlier.as_ref(), refusal, &address, schedule, now_us());
        closed.copied = self.copied;
        let Closed { why, hint, tries, .. } = &closed;
        let next_in_seconds = (closed.next_us - now_us()) / 1_000_000;
        if earlier.is_none() {
            tracing::error!(
                destination = setup.name,
                why,
                hint,
                next_in_seconds,
                fallback = policy.fallback.as_deref().unwrap_or("none"),
                "nothing can be sent to this destination, its messages wait"
            );
        } else {
            tracing::warn!(
                destination = setup.name,
                why,
                hint,
                tries,
                next_in_seconds,
                "still nothing can be sent to this destination"
            );
        }
        setup.gate.close(&closed);
        self.is_recorded_closed = true;
        setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        self.unsaved = Some(Change::Closed(closed));
    }

    /// It accepts messages again.
    pub(super) fn reopen(&mut self, why: &str) {
        let setup = self.setup;
        tracing::info!(
            destination = setup.name,
            why,
            "messages can be sent to this destination again"
        );
        setup.gate.open();
        (self.is_recorded_closed, self.copied) = (false, 0);
        setup.metrics.closed.with_label_values(&[&setup.name]).set(0);
        self.unsaved = Some(Change::Open);
    }

    /// Opens the destination when the bucket no longer says that it is closed: a test message
    /// arrived.
    pub(super) async fn reopen_if_tested(&mut self) -> anyhow::Result<()> {
        if self.is_recorded_closed && self.records.closed(&self.setup.name).await?.is_none() {
            self.reopen("a test message arrived");
            self.save().await?;
        }
        Ok(())
    }

    /// What closed the destination before this instance started, unless its address has changed.
    async fn load_closed(&mut self) -> anyhow::Result<()> {
        let setup = self.setup;
        let Some(closed) = self.records.closed(&setup.name).await? else { return Ok(()) };
        if closed.address == fingerprint(&setup.destination) {
            setup.gate.close(&closed);
            (self.is_recorded_closed, self.copied) = (true, closed.copied);
            setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        } else {
            self.reopen("its address was changed");
            self.save().await?;
        }
        Ok(())
    }

    /// Requests the channel of a Discord webhook, if it is not known yet. Done after a message was
    /// accepted, because a webhook that is gone must not get more requests than needed.
    pub(super) async fn find_channel(&mut self) -> anyhow::Result<()> {
        let Channel::Discord(discord) = &self.channel else { return Ok(()) };
        let gate = &self.setup.gate;
        let is_done = gate.knows_channel() || self.channel_requests >= MAX_CHANNEL_REQUESTS;
        if is_done || gate.closed().is_some() {
            return Ok(());
        }
        self.channel_requests += 1;
        if let Some(channel) = discord.channel_id().await {
            gate.join_channel(&channel, &self.setup.destination);
        }
        Ok(())
    }

    fn drop_topic(&mut self) -> bool {
        match &mut self.channel {
            Channel::Telegram(telegram) => telegram.topic.take().is_some(),
            Channel::Discord(_) => false,
        }
    }

    /// Remembers a group's new number; `false` when it is in use already.
    fn move_chat(&mut self, chat_id: i64) -> bool {
        let Channel::Telegram(telegram) = &mut self.channel else { return false };
        if telegram.chat_id == chat_id {
            return false;
        }
        telegram.chat_id = chat_id;
        self.unsaved =
            Some(Change::Moved(Moved { from: telegram.configured_chat_id(), to: chat_id }));
        tracing::error!(
            destination = self.setup.name,
            chat_id,
            hint = "set chat_id to this number",
            "the group was upgraded and has another number, writing there"
        );
        true
    }

    /// Where the group moved to earlier, as long as the configuration still has its old number.
    async fn load_moved_chat(&mut self) -> anyhow::Result<()> {
        let Channel::Telegram(telegram) = &mut self.channel else { return Ok(()) };
        let moved = self
            .records
            .moved_chat(&self.setup.name)
            .await
            .context("read where the group moved")?;
        if let Some(moved) = moved.filter(|moved| moved.from == telegram.configured_chat_id()) {
            telegram.chat_id = moved.to;
            // Written again, because the bucket drops old entries.
            self.records
                .set_moved_chat(&self.setup.name, moved)
                .await
                .context("remember where the group moved")?;
        }
        Ok(())
    }
}
