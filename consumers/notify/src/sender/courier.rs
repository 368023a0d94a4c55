//! One message from the queue to its end: asks what is next, and does it.

use std::time::Duration;

use alloy_primitives::{hex, keccak256};
use crypto_intel_nats::{StreamMessage, Term, Work};
use crypto_intel_schemas::{Event, Notification, Severity};
use crypto_intel_service::{RecordingRetry, now_us};
use tokio::time::Instant;

use super::{
    Setup,
    learn::News,
    step::{Action, Input, Message, next},
};
use crate::{
    channel::{Body, Channel, Outcome, Saying},
    delivery::{STREAM, keep_as_dead_letter, waits_since_us},
    record::{Record, Records, Step, Stored, UnreadableRecord},
};

/// Carries the messages of one destination while this instance holds its lease.
#[derive(Debug)]
pub(super) struct Courier<'a> {
    pub(super) setup: &'a Setup,
    pub(super) records: Records,
    pub(super) channel: Channel,
    pub(super) owner: String,
    pub(super) retry: RecordingRetry,
    pub(super) term: Term,
    /// Whether the bucket says that the destination is closed.
    pub(super) closed_before: bool,
    /// The fallback was told of what waits up to this stream sequence.
    pub(super) copied: u64,
    /// How often Discord was asked for the webhook's channel.
    pub(super) channel_questions: u32,
    /// What was learnt of the destination and is not written yet.
    pub(super) news: Option<News>,
}

/// What came of the wish to send.
enum Attempted {
    Ended(Outcome),
    /// The destination has closed meanwhile, or another one tries for it.
    NotNow,
}

/// A message in hand: what it tells, and its record.
#[derive(Debug)]
pub(super) struct Parcel<'w> {
    pub(super) work: &'w Work,
    /// The message itself.
    pub(super) own: Notification,
    /// Those folded into it.
    pub(super) folded: Vec<Notification>,
    pub(super) stored: Stored,
}

impl Parcel<'_> {
    fn all(&self) -> impl Iterator<Item = &Notification> {
        std::iter::once(&self.own).chain(&self.folded)
    }

    fn facts(&self) -> Message {
        Message {
            severity: self.all().map(|one| one.alert.severity).max().unwrap_or_default(),
            since_us: waits_since_us(&self.own),
            youngest_us: self.all().map(waits_since_us).max().unwrap_or_default(),
        }
    }
}

impl Courier<'_> {
    /// Waits for `future`, but not beyond the term.
    pub(super) async fn until_over<T>(&self, future: impl Future<Output = T>) -> anyhow::Result<T> {
        self.term.until_over(async { Ok(future.await) }).await
    }

    /// Brings one message to its end.
    pub(super) async fn handle(&mut self, work: &Work) -> anyhow::Result<()> {
        let own = match decode(&work.message) {
            Ok(notification) => notification,
            Err(why) => return self.give_up(work, &why).await,
        };
        let name = &self.setup.name;
        let loaded = match self.records.load(name, &own.id).await {
            Err(error) if error.is::<UnreadableRecord>() => {
                return self.give_up(work, &error.to_string()).await;
            }
            other => other?,
        };
        let stored = loaded.unwrap_or_else(|| self.fresh(own.id.clone()));
        let folded = self.members(&stored.record.folded).await?;
        let folded = folded.into_iter().map(|member| member.notification).collect();
        let parcel = Parcel { work, own, folded, stored };
        if parcel.stored.record.ending().is_some() {
            return self.finish(parcel).await;
        }
        self.deliver(parcel).await
    }

    pub(super) fn fresh(&self, delivery: String) -> Stored {
        let record = Record {
            delivery,
            step: Step::Wait { not_before_us: 0, why: String::new() },
            attempts: 0,
            uncertain: false,
            doubts: 0,
            plain: false,
            folded: Vec::new(),
            owner: self.owner.clone(),
            at_us: now_us(),
        };
        Stored { record, revision: 0 }
    }

    /// Does what is next until it has ended or sending must stop.
    async fn deliver(&mut self, mut parcel: Parcel<'_>) -> anyhow::Result<()> {
        let setup = self.setup;
        let policy = setup.destination.policy();
        let mut outcome = None;
        let mut cut = false;
        loop {
            let closed = setup.gate.closed();
            let input = match &outcome {
                Some(outcome) => Input::Outcome(outcome),
                None if cut => Input::Cut,
                None => Input::Look(closed.as_ref()),
            };
            let facts = parcel.facts();
            let action = next(&mut parcel.stored.record, &facts, &input, policy, now_us());
            (outcome, cut) = (None, false);
            match action {
                Action::AwaitResult(left) => {
                    self.until_over(tokio::time::sleep(left)).await?;
                    tracing::warn!(
                        destination = setup.name,
                        delivery = parcel.stored.record.delivery,
                        owner = parcel.stored.record.owner,
                        "attempt without a result: nobody knows whether it arrived"
                    );
                    cut = true;
                }
                Action::Wait { until_us } => {
                    self.until_over(tokio::time::sleep(us_until(until_us))).await?;
                }
                Action::WaitClosed { until_us } => self.while_closed(&parcel, until_us).await?,
                Action::Attempt => {
                    self.fold(&mut parcel).await?;
                    match self.attempt(&mut parcel).await? {
                        Attempted::Ended(ended) => outcome = Some(ended),
                        Attempted::NotNow => {}
                    }
                }
                Action::Save => self.save_waiting(&mut parcel).await?,
                Action::End => return self.end(parcel).await,
            }
        }
    }

    /// One attempt: recorded before the socket opens.
    async fn attempt(&mut self, parcel: &mut Parcel<'_>) -> anyhow::Result<Attempted> {
        let setup = self.setup;
        let name = &setup.name;
        let critical = parcel.all().any(|one| one.alert.severity == Severity::Critical);
        let slots = self.until_over(setup.gate.pass(critical)).await?;
        // Another destination of the same chat or bot may have learnt something while we waited.
        let timeout = setup.destination.policy().timeout();
        if !setup.gate.may_send(now_us(), timeout) {
            return Ok(Attempted::NotNow);
        }
        let alerts: Vec<_> = parcel.all().map(|one| one.alert.clone()).collect();
        let record = &mut parcel.stored.record;
        let saying = Saying { alerts: &alerts, repeat: record.uncertain, plain: record.plain };
        let body = self.channel.body(&saying);
        let timeout_us = i64::try_from(timeout.as_micros()).unwrap_or(0);
        record.begin(now_us().saturating_add(timeout_us), body_hash(&body));
        self.stamp(record);
        self.records.save(name, &mut parcel.stored).await?;
        let started = Instant::now();
        let reply = self.channel.send(body).await;
        drop(slots);
        if let Some(pause) = reply.pause {
            setup.gate.pause(pause);
        }
        setup
            .metrics
            .attempt_seconds
            .with_label_values(&[name])
            .observe(started.elapsed().as_secs_f64());
        setup.metrics.attempts.with_label_values(&[name.as_str(), reply.outcome.label()]).inc();
        let code = parcel.own.alert.code.clone();
        Ok(Attempted::Ended(self.learn(reply.outcome, &code)))
    }

    /// Records that it waits, so that a restart waits as well.
    async fn save_waiting(&mut self, parcel: &mut Parcel<'_>) -> anyhow::Result<()> {
        if let Step::Wait { not_before_us, why } = &parcel.stored.record.step {
            let delay = us_until(*not_before_us);
            self.retry.last_error().set(why.clone());
            tracing::warn!(
                destination = self.setup.name,
                code = parcel.own.alert.code,
                attempts = parcel.stored.record.attempts,
                delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                why,
                "message not sent yet, trying again"
            );
        }
        self.stamp(&mut parcel.stored.record);
        self.records.save(&self.setup.name, &mut parcel.stored).await?;
        self.keep().await
    }

    pub(super) fn stamp(&self, record: &mut Record) {
        record.owner.clone_from(&self.owner);
        record.at_us = now_us();
    }

    /// A message that is none of ours: kept as a dead letter, then on.
    async fn give_up(&self, work: &Work, why: &str) -> anyhow::Result<()> {
        use anyhow::Context as _;
        tracing::error!(
            destination = self.setup.name,
            sequence = work.message.sequence,
            why,
            "message in OUTBOX cannot be handled, kept as a dead letter"
        );
        keep_as_dead_letter(&self.setup.nats, STREAM, &work.message, why, &self.retry).await?;
        work.ack().await.context("acknowledge a message")
    }
}

/// The message to be sent, or why it is none.
pub(crate) fn decode(message: &StreamMessage) -> Result<Notification, String> {
    match Event::decode(&message.payload) {
        Ok(Event::Notification(notification)) => Ok(notification),
        Ok(other) => Err(format!("{} is no notification", other.kind())),
        Err(error) => Err(format!("{:#}", anyhow::Error::new(error))),
    }
}

pub(super) fn us_until(at_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(at_us.saturating_sub(now_us())).unwrap_or(0))
}

/// Proof of what was sent, without its words.
fn body_hash(body: &Body) -> String {
    hex::encode(&keccak256(&body.0)[..8])
}
