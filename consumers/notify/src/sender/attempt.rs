//! The attempts of one message: record, send, record, until it has ended.

use std::time::Duration;

use alloy_primitives::{hex, keccak256};
use anyhow::Context as _;
use crypto_intel_schemas::{Alert, DeliveryState, Severity};
use crypto_intel_service::now_us;
use tokio::time::Instant;

use super::courier::{Courier, Next, Parcel, us_until};
use crate::{
    channel::{Body, Channel, Outcome, Saying},
    config::InDoubt,
    delivery::Ending,
    record::{Moved, Step},
};

/// Delays after attempts that certainly did not arrive: 1, 2, 4 … s.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// After attempts that may have arrived each further one may be a copy: 2, 4, 8 … s, for longer.
const LONGEST_UNCERTAIN_DELAY: Duration = Duration::from_secs(300);

/// What an outcome leads to.
enum Then<'w> {
    Again(Parcel<'w>),
    Ended(Parcel<'w>, Ending),
}

impl Courier<'_> {
    /// Attempts until it has ended or sending must stop.
    pub(super) async fn deliver(&mut self, mut parcel: Parcel<'_>) -> anyhow::Result<Next> {
        loop {
            let attempts = parcel.stored.record.attempts;
            if self.is_too_old(parcel.head()) {
                let ending = if parcel.stored.record.uncertain {
                    let why = "an attempt was cut in the middle, and by now it is too old";
                    Ending::unsent(DeliveryState::Uncertain, attempts, why)
                } else {
                    let seconds = self.setup.destination.policy().max_age_seconds;
                    let why = format!("older than {seconds} s");
                    Ending::unsent(DeliveryState::Expired, attempts, &why)
                };
                tracing::warn!(
                    destination = self.setup.name,
                    code = parcel.head().code,
                    state = ending.state.as_str(),
                    "message is too old to be sent"
                );
                return self.end(parcel, ending).await;
            }
            if let Some(why) = self.setup.gate.closed() {
                return self.end(parcel, Ending::dead(attempts, &why)).await;
            }
            if let Step::Wait { not_before_us, .. } = parcel.stored.record.step {
                let wait = tokio::time::sleep(us_until(not_before_us));
                if self.unless_stopped(wait).await.is_none() {
                    return Ok(Next::Stop);
                }
            }
            self.fold(&mut parcel).await?;
            let Some(outcome) = self.attempt(&mut parcel).await? else { return Ok(Next::Stop) };
            match self.judge(parcel, outcome).await? {
                Then::Again(again) => parcel = again,
                Then::Ended(ended, ending) => return self.end(ended, ending).await,
            }
        }
    }

    /// One attempt: recorded before the socket opens. `None` when sending must stop.
    async fn attempt(&mut self, parcel: &mut Parcel<'_>) -> anyhow::Result<Option<Outcome>> {
        let name = &self.setup.name;
        let critical = parcel.alerts.iter().any(|alert| alert.severity == Severity::Critical);
        let passed = self.unless_stopped(self.setup.gate.pass(critical)).await;
        let Some(slots) = passed else { return Ok(None) };
        // Another destination of the same chat or bot may have learnt something while we waited.
        if let Some(why) = self.setup.gate.closed() {
            return Ok(Some(Outcome::Refused { why }));
        }
        let record = &mut parcel.stored.record;
        let saying =
            Saying { alerts: &parcel.alerts, repeat: record.uncertain, plain: record.plain };
        let body = self.channel.body(&saying);
        let timeout = self.setup.destination.policy().timeout();
        record.attempts += 1;
        record.step = Step::Attempt {
            until_us: now_us().saturating_add(i64::try_from(timeout.as_micros()).unwrap_or(0)),
            body_hash: body_hash(&body),
        };
        self.stamp(&mut parcel.stored.record);
        self.records.save(name, &mut parcel.stored).await?;
        let started = Instant::now();
        let outcome = self.channel.send(body).await;
        drop(slots);
        self.setup
            .metrics
            .attempt_seconds
            .with_label_values(&[name])
            .observe(started.elapsed().as_secs_f64());
        self.setup.metrics.attempts.with_label_values(&[name.as_str(), outcome.label()]).inc();
        Ok(Some(outcome))
    }

    /// What an outcome leads to, and what is remembered of it.
    async fn judge<'w>(
        &mut self,
        parcel: Parcel<'w>,
        outcome: Outcome,
    ) -> anyhow::Result<Then<'w>> {
        let name = self.setup.name.clone();
        let attempts = parcel.stored.record.attempts;
        let code = parcel.head().code.clone();
        match outcome {
            Outcome::Sent { message_id } => Ok(self.sent(parcel, message_id)),
            Outcome::Wait { after, why } => {
                self.setup.gate.freeze(after);
                self.again(parcel, after, &why).await
            }
            Outcome::NotSent { why } => {
                let delay = self.delay(1, LONGEST_DELAY);
                self.again(parcel, delay, &why).await
            }
            Outcome::Uncertain { why } => self.doubt(parcel, &why).await,
            Outcome::PlainText { why } if !parcel.stored.record.plain => {
                tracing::error!(
                    destination = name,
                    code,
                    why,
                    "markup was refused, sending plain text; this is a defect of the template or of ours"
                );
                let mut parcel = parcel;
                parcel.stored.record.plain = true;
                self.again(parcel, Duration::ZERO, &why).await
            }
            Outcome::NoTopic { why } if self.drop_topic() => {
                tracing::error!(
                    destination = name,
                    why,
                    "topic does not exist, writing to the chat itself; correct message_thread_id"
                );
                self.again(parcel, Duration::ZERO, &why).await
            }
            Outcome::Moved { chat_id } if self.move_chat(chat_id).await? => {
                self.again(parcel, Duration::ZERO, "the group has another number now").await
            }
            Outcome::DeadDestination { why, again_after, whole_bot } => {
                self.shut(&why, again_after, whole_bot);
                Ok(Then::Ended(parcel, Ending::dead(attempts, &why)))
            }
            Outcome::PlainText { why } | Outcome::NoTopic { why } | Outcome::Refused { why } => {
                tracing::error!(
                    destination = name,
                    code,
                    why,
                    "message can never be sent, kept as a dead letter"
                );
                Ok(Then::Ended(parcel, Ending::dead(attempts, &why)))
            }
            Outcome::Moved { chat_id } => {
                let why = format!("moved to chat {chat_id}, which moved again");
                Ok(Then::Ended(parcel, Ending::dead(attempts, &why)))
            }
        }
    }

    fn shut(&self, why: &str, again_after: Duration, whole_bot: bool) {
        self.setup.gate.close(why, again_after, whole_bot);
        tracing::error!(
            destination = self.setup.name,
            why,
            again_after_seconds = again_after.as_secs(),
            "nothing can be sent to this destination; its messages become dead letters until it is mended"
        );
    }

    fn sent<'w>(&mut self, parcel: Parcel<'w>, message_id: String) -> Then<'w> {
        self.failures = 0;
        self.setup.gate.open();
        let attempts = parcel.stored.record.attempts;
        let repeated = parcel.stored.record.uncertain;
        let state = if repeated { DeliveryState::Repeated } else { DeliveryState::Sent };
        tracing::info!(
            destination = self.setup.name,
            code = parcel.head().code,
            message_id,
            attempts,
            alerts = parcel.alerts.len(),
            state = state.as_str(),
            "message sent"
        );
        let message_id = Some(message_id);
        let done_at_us = now_us();
        Then::Ended(parcel, Ending { state, attempts, message_id, error: None, done_at_us })
    }

    /// Nobody knows whether it arrived: by policy once more, marked, or never again.
    async fn doubt<'w>(&mut self, mut parcel: Parcel<'w>, why: &str) -> anyhow::Result<Then<'w>> {
        let attempts = parcel.stored.record.attempts;
        if self.in_doubt(&parcel) == InDoubt::Skip {
            tracing::warn!(
                destination = self.setup.name,
                code = parcel.head().code,
                why,
                "unknown whether the message arrived, not repeated"
            );
            return Ok(Then::Ended(
                parcel,
                Ending::unsent(DeliveryState::Uncertain, attempts, why),
            ));
        }
        parcel.stored.record.uncertain = true;
        let delay = self.delay(2, LONGEST_UNCERTAIN_DELAY);
        self.again(parcel, delay, why).await
    }

    /// Records that it waits, so that a restart waits as well.
    async fn again<'w>(
        &mut self,
        mut parcel: Parcel<'w>,
        delay: Duration,
        why: &str,
    ) -> anyhow::Result<Then<'w>> {
        tracing::warn!(
            destination = self.setup.name,
            code = parcel.head().code,
            attempts = parcel.stored.record.attempts,
            delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            why,
            "message not sent yet, trying again"
        );
        let delay_us = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        let not_before_us = now_us().saturating_add(delay_us);
        parcel.stored.record.step = Step::Wait { not_before_us, why: why.to_owned() };
        self.stamp(&mut parcel.stored.record);
        self.records.save(&self.setup.name, &mut parcel.stored).await?;
        Ok(Then::Again(parcel))
    }

    fn delay(&mut self, first_seconds: u64, longest: Duration) -> Duration {
        let doublings = self.failures.min(16);
        self.failures += 1;
        Duration::from_secs(first_seconds << doublings).min(longest)
    }

    fn is_too_old(&self, alert: &Alert) -> bool {
        let most = self.setup.destination.policy().max_age_seconds;
        let since = if alert.seen_at_us > 0 { alert.seen_at_us } else { alert.observed_at_us };
        let age = now_us().saturating_sub(since) / 1_000_000;
        most > 0 && since > 0 && age > i64::try_from(most).unwrap_or(i64::MAX)
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
        let moved = match self.records.moved_chat(&self.setup.name).await {
            Ok(moved) => moved,
            // The caller sees that it must stop.
            Err(crate::record::RecordError::Stopped) => return Ok(()),
            Err(error) => return Err(error).context("read where the group moved"),
        };
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

/// Proof of what was sent, without its words.
fn body_hash(body: &Body) -> String {
    hex::encode(&keccak256(&body.0)[..8])
}
