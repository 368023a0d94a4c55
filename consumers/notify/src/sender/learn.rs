//! What an outcome says about the destination rather than about the message.

use anyhow::Context as _;
use crypto_intel_service::now_us;

use super::courier::Courier;
use crate::{
    channel::{Channel, Outcome, Scope},
    closed::{Closed, Refusal, fingerprint},
    record::{Moved, RecordError},
};

impl Courier<'_> {
    /// Keeps what it says about the destination, and answers with what is left for the message.
    pub(super) async fn learn(&mut self, outcome: Outcome, code: &str) -> anyhow::Result<Outcome> {
        let setup = self.setup;
        let destination = setup.name.as_str();
        match outcome {
            Outcome::Sent { .. } => {
                self.patience.trouble.clear();
                if self.closed_before || setup.gate.closed().is_some() {
                    self.reopen("it took a message").await?;
                }
                self.find_channel().await;
            }
            Outcome::Wait { after, scope, .. } => {
                setup.gate.freeze(after, scope);
                if scope == Scope::Service {
                    tracing::warn!(
                        destination,
                        ?after,
                        "the service asks for a wait for all that goes to it"
                    );
                }
            }
            Outcome::Closed { ref why, mend, whole_bot } => {
                self.close(Refusal { why, mend, whole_bot }).await?;
            }
            Outcome::NoTopic { why } if self.drop_topic() => {
                tracing::error!(
                    destination,
                    why,
                    "the topic takes no messages, writing to the chat itself; open the topic again or correct message_thread_id, then restart notify"
                );
                return Ok(Outcome::Again { why });
            }
            Outcome::Moved { chat_id } if self.move_chat(chat_id).await? => {
                return Ok(Outcome::Again { why: "the group has another number now".to_owned() });
            }
            Outcome::PlainText { ref why } => {
                tracing::error!(
                    destination,
                    code,
                    why,
                    "markup was refused, sending plain text; this is a defect of the template or of ours"
                );
            }
            _ => {}
        }
        Ok(outcome)
    }

    /// Nothing can be sent until somebody mends it: what waits stays, and the oldest tries again.
    async fn close(&mut self, refusal: Refusal<'_>) -> anyhow::Result<()> {
        let setup = self.setup;
        let earlier = setup.gate.closed();
        let policy = setup.destination.policy();
        let address = fingerprint(&setup.destination);
        let schedule = &policy.probe_after_seconds;
        let mut closed = Closed::after(earlier.as_ref(), refusal, &address, schedule, now_us());
        closed.copied = self.copied;
        let Closed { why, mend, tries, .. } = &closed;
        let next_in_seconds = (closed.next_us - now_us()) / 1_000_000;
        if earlier.is_none() {
            let fallback = policy.fallback.as_deref().unwrap_or("nobody");
            tracing::error!(
                destination = setup.name,
                why,
                mend,
                next_in_seconds,
                told_meanwhile = fallback,
                "nothing can be sent to this destination, its messages wait"
            );
        } else {
            tracing::warn!(
                destination = setup.name,
                why,
                mend,
                tries,
                next_in_seconds,
                "still nothing can be sent to this destination"
            );
        }
        setup.gate.close(&closed);
        self.closed_before = true;
        setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        self.records.set_closed(&setup.name, &closed).await?;
        Ok(())
    }

    /// It takes messages again.
    pub(super) async fn reopen(&mut self, why: &str) -> anyhow::Result<()> {
        let setup = self.setup;
        tracing::info!(
            destination = setup.name,
            why,
            "messages can be sent to this destination again"
        );
        setup.gate.open();
        (self.closed_before, self.copied) = (false, 0);
        setup.metrics.closed.with_label_values(&[&setup.name]).set(0);
        self.records.clear_closed(&setup.name).await?;
        Ok(())
    }

    /// What kept the destination closed before this instance began, unless it has another address
    /// now.
    pub(super) async fn find_closed(&mut self) -> anyhow::Result<()> {
        let setup = self.setup;
        let Some(closed) = unless_stopped(self.records.closed(&setup.name).await)?.flatten() else {
            return Ok(());
        };
        if closed.address == fingerprint(&setup.destination) {
            setup.gate.close(&closed);
            (self.closed_before, self.copied) = (true, closed.copied);
            setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        } else {
            self.reopen("its address was changed").await?;
        }
        Ok(())
    }

    /// The channel of a Discord webhook, if it is not known yet. Asked after a message was taken: a
    /// webhook that is gone must not be asked more than needed.
    async fn find_channel(&self) {
        if let Channel::Discord(discord) = &self.channel
            && !self.setup.gate.knows_channel()
            && let Some(Some(channel)) = self.unless_stopped(discord.channel_id()).await
        {
            self.setup.gate.join_channel(&channel, &self.setup.destination);
        }
    }

    fn drop_topic(&mut self) -> bool {
        match &mut self.channel {
            Channel::Telegram(telegram) => telegram.topic.take().is_some(),
            Channel::Discord(_) => false,
        }
    }

    /// Remembers a group's new number; `false` when that is where we write already.
    async fn move_chat(&mut self, chat_id: i64) -> anyhow::Result<bool> {
        let Channel::Telegram(telegram) = &mut self.channel else { return Ok(false) };
        if telegram.chat_id == chat_id {
            return Ok(false);
        }
        telegram.chat_id = chat_id;
        let moved = Moved { from: telegram.configured_chat_id(), to: chat_id };
        tracing::error!(
            destination = self.setup.name,
            chat_id,
            "the group was upgraded and has another number, writing there; set chat_id to it"
        );
        self.records
            .set_moved_chat(&self.setup.name, moved)
            .await
            .context("remember where the group moved")?;
        Ok(true)
    }

    /// Where the group moved to earlier, as long as the configuration still names its old number.
    pub(super) async fn find_moved_chat(&mut self) -> anyhow::Result<()> {
        let Channel::Telegram(telegram) = &mut self.channel else { return Ok(()) };
        let moved = unless_stopped(self.records.moved_chat(&self.setup.name).await)
            .context("read where the group moved")?
            .flatten();
        if let Some(moved) = moved.filter(|moved| moved.from == telegram.configured_chat_id()) {
            telegram.chat_id = moved.to;
            // Written again, because the bucket forgets what is old.
            self.records
                .set_moved_chat(&self.setup.name, moved)
                .await
                .context("remember where the group moved")?;
        }
        Ok(())
    }
}

/// `None` when told to stop: the caller sees that by itself.
fn unless_stopped<T>(result: Result<T, RecordError>) -> Result<Option<T>, RecordError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RecordError::Stopped) => Ok(None),
        Err(error) => Err(error),
    }
}
