//! What an outcome says about the destination rather than about the message.

use anyhow::Context as _;
use crypto_intel_service::now_us;

use super::courier::Courier;
use crate::{
    channel::{Channel, Outcome, Scope},
    closed::{Closed, Refusal, fingerprint},
    record::Moved,
};

/// A proxy may take messages and no questions: each costs the next message time.
const MAX_CHANNEL_QUESTIONS: u32 = 3;

/// What is to be kept of a destination. It is written after the record of the message that brought
/// it: what became of an attempt comes first.
#[derive(Debug)]
pub(super) enum News {
    Closed(Closed),
    Open,
    Moved(Moved),
}

impl Courier<'_> {
    /// Heeds what it says about the destination, and answers with what is left for the message.
    pub(super) fn learn(&mut self, outcome: Outcome, code: &str) -> Outcome {
        let setup = self.setup;
        let destination = setup.name.as_str();
        match outcome {
            Outcome::Sent { .. } => {
                self.retry.last_error().clear();
                if self.closed_before || setup.gate.closed().is_some() {
                    self.reopen("it took a message");
                }
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
                self.close(Refusal { why, mend, whole_bot });
            }
            Outcome::NoTopic { why } if self.drop_topic() => {
                tracing::error!(
                    destination,
                    why,
                    "the topic takes no messages, writing to the chat itself; open the topic again or correct message_thread_id, then restart notify"
                );
                return Outcome::Again { why };
            }
            Outcome::NoTopic { why } => {
                let mend = "open the General topic of the chat again";
                self.close(Refusal { why: &why, mend, whole_bot: false });
                return Outcome::Closed { why, mend, whole_bot: false };
            }
            Outcome::Moved { chat_id } if self.move_chat(chat_id) => {
                return Outcome::Again { why: "the group has another number now".to_owned() };
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
        outcome
    }

    /// Writes what was learnt.
    pub(super) async fn keep(&mut self) -> anyhow::Result<()> {
        let name = &self.setup.name;
        match self.news.take() {
            None => {}
            Some(News::Closed(closed)) => self.records.set_closed(name, &closed).await?,
            Some(News::Open) => self.records.clear_closed(name).await?,
            Some(News::Moved(moved)) => self
                .records
                .set_moved_chat(name, moved)
                .await
                .context("remember where the group moved")?,
        }
        Ok(())
    }

    /// Nothing can be sent until somebody mends it: what waits stays, and the oldest tries again.
    fn close(&mut self, refusal: Refusal<'_>) {
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
        self.news = Some(News::Closed(closed));
    }

    /// It takes messages again.
    pub(super) fn reopen(&mut self, why: &str) {
        let setup = self.setup;
        tracing::info!(
            destination = setup.name,
            why,
            "messages can be sent to this destination again"
        );
        setup.gate.open();
        (self.closed_before, self.copied) = (false, 0);
        setup.metrics.closed.with_label_values(&[&setup.name]).set(0);
        self.news = Some(News::Open);
    }

    /// What kept the destination closed before this instance began, unless it has another address
    /// now.
    pub(super) async fn find_closed(&mut self) -> anyhow::Result<()> {
        let setup = self.setup;
        let Some(closed) = self.records.closed(&setup.name).await? else { return Ok(()) };
        if closed.address == fingerprint(&setup.destination) {
            setup.gate.close(&closed);
            (self.closed_before, self.copied) = (true, closed.copied);
            setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        } else {
            self.reopen("its address was changed");
            self.keep().await?;
        }
        Ok(())
    }

    /// The channel of a Discord webhook, if it is not known yet. Asked after a message was taken: a
    /// webhook that is gone must not be asked more than needed.
    pub(super) async fn find_channel(&mut self) {
        let Channel::Discord(discord) = &self.channel else { return };
        let gate = &self.setup.gate;
        let is_asked = gate.knows_channel() || self.channel_questions >= MAX_CHANNEL_QUESTIONS;
        if is_asked || gate.closed().is_some() {
            return;
        }
        self.channel_questions += 1;
        if let Ok(Some(channel)) = self.until_over(discord.channel_id()).await {
            gate.join_channel(&channel, &self.setup.destination);
        }
    }

    fn drop_topic(&mut self) -> bool {
        match &mut self.channel {
            Channel::Telegram(telegram) => telegram.topic.take().is_some(),
            Channel::Discord(_) => false,
        }
    }

    /// Remembers a group's new number; `false` when that is where we write already.
    fn move_chat(&mut self, chat_id: i64) -> bool {
        let Channel::Telegram(telegram) = &mut self.channel else { return false };
        if telegram.chat_id == chat_id {
            return false;
        }
        telegram.chat_id = chat_id;
        self.news = Some(News::Moved(Moved { from: telegram.configured_chat_id(), to: chat_id }));
        tracing::error!(
            destination = self.setup.name,
            chat_id,
            "the group was upgraded and has another number, writing there; set chat_id to it"
        );
        true
    }

    /// Where the group moved to earlier, as long as the configuration still names its old number.
    pub(super) async fn find_moved_chat(&mut self) -> anyhow::Result<()> {
        let Channel::Telegram(telegram) = &mut self.channel else { return Ok(()) };
        let moved = self
            .records
            .moved_chat(&self.setup.name)
            .await
            .context("read where the group moved")?;
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
