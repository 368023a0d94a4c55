//! Delivers one message: asks [`step`](super::step) what is next, and does it.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use crypto_intel_nats::{Term, Work};
use crypto_intel_schemas::Severity;
use crypto_intel_service::{RecordingRetry, now_us};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Setup,
    destination::DestinationState,
    digest::fold,
    in_flight::{InFlight, decode},
    lane::Lane,
    outbox::Outbox,
    results::Results,
    step::{Action, Input, next, overtaken},
};
use crate::{
    channel::{MessageContent, Outcome, Place, Request},
    records::anchor::{Anchor, Edited, Editing},
    records::delivery::{STREAM, is_acknowledgement, publish_dead_letter},
    records::record::{Records, Step, Stored, UnreadableRecord},
    render::{Voice, chart::drawn_in_time},
};

/// How often a closed destination is checked for new messages and for a test message.
const CLOSED_INTERVAL: Duration = Duration::from_millis(500);
/// A day of them, in case the clock was set and the time of the next attempt is wrong.
const MAX_CLOSED_LOOKS: usize = 2 * 3_600 * 24;

/// Delivers the messages of one lane of a destination while this instance holds its lease.
#[derive(Debug)]
pub(super) struct DeliveryTask<'a> {
    pub(super) setup: &'a Setup,
    pub(super) lane: Lane,
    /// Name of this instance.
    pub(super) owner: String,
    pub(super) term: Term,
    /// Fires when the other lane has ended.
    pub(super) stop: CancellationToken,
    pub(super) retry: RecordingRetry,
    pub(super) records: Records,
    pub(super) outbox: Outbox,
    pub(super) results: Results<'a>,
    pub(super) destination: &'a DestinationState<'a>,
    /// One attempt at a time: what it comes to is known to the other lane before that one's next.
    pub(super) attempts: &'a Mutex<()>,
    pub(super) voice: Voice,
    /// Stream sequences of what digests have carried, whose turn is still to come.
    pub(super) carried: parking_lot::Mutex<BTreeSet<u64>>,
}

/// The end of an attempt.
enum Attempted {
    Ended(Outcome),
    /// Not made: the destination has closed meanwhile, or another one tries for it.
    NotNow,
    /// Not made: a later word about the alert was told, by this message.
    Overtaken(String),
}

/// The other lane of the destination has ended, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("the other lane of the destination has ended")]
pub(super) struct OtherLaneEnded;

impl DeliveryTask<'_> {
    /// Waits for `future`, but not beyond the term.
    pub(super) async fn until_over<T>(&self, future: impl Future<Output = T>) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(OtherLaneEnded.into()),
            result = self.term.until_over(async { Ok(future.await) }) => result,
        }
    }

    /// Brings one message to its end.
    pub(super) async fn handle(&self, work: &Work) -> anyhow::Result<()> {
        if self.carried.lock().remove(&work.message.sequence) {
            return work.ack().await.context("acknowledge a message");
        }
        let own = match decode(&work.message) {
            Ok(notification) => notification,
            Err(why) => return self.reject(work, &why).await,
        };
        let loaded = match self.records.load(&self.setup.name, &own.id).await {
            Err(error) if error.is::<UnreadableRecord>() => {
                return self.reject(work, &error.to_string()).await;
            }
            other => other?,
        };
        let stored = loaded.unwrap_or_else(|| Stored::new(&own.id, &self.owner));
        if stored.record.carried {
            // The digest before it was acknowledged after its members' ends were published.
            return work.ack().await.context("acknowledge a message");
        }
        let folded = self.outbox.members(&stored.record.folded).await?;
        let folded = folded.into_iter().map(|member| member.notification).collect();
        let in_flight = InFlight { work, own, folded, stored, anchor: None };
        if in_flight.stored.record.ending().is_some() {
            return self.publish(in_flight).await;
        }
        self.deliver(in_flight).await
    }

    /// Does the next step until the message has ended or the term is over.
    async fn deliver(&self, mut in_flight: InFlight<'_>) -> anyhow::Result<()> {
        let setup = self.setup;
        let policy = setup.destination.policy();
        let is_idempotent = self.destination.channel.capabilities().is_idempotent;
        let mut outcome = None;
        let mut cut = false;
        loop {
            let closed = setup.gate.closed();
            let input = match &outcome {
                Some(outcome) => Input::Outcome(outcome),
                None if cut => Input::Cut,
                None => Input::Look(closed.as_ref()),
            };
            let facts = in_flight.facts(is_idempotent);
            let action = next(&mut in_flight.stored.record, &facts, &input, policy, now_us());
            (outcome, cut) = (None, false);
            match action {
                Action::AwaitResult(left) => {
                    self.until_over(tokio::time::sleep(left)).await?;
                    tracing::warn!(
                        destination = setup.name,
                        delivery = in_flight.stored.record.delivery,
                        owner = in_flight.stored.record.owner,
                        "attempt without a result: unknown whether the message arrived"
                    );
                    cut = true;
                }
                Action::Wait { until_us } => {
                    self.until_over(tokio::time::sleep(time_until(until_us))).await?;
                }
                Action::WaitClosed { until_us } => {
                    self.wait_while_closed(&in_flight, until_us).await?;
                }
                Action::Attempt => {
                    let Self { destination, records, outbox, .. } = self;
                    let channel = destination.channel.as_ref();
                    fold(&mut in_flight, setup, channel, records, outbox).await?;
                    match self.attempt(&mut in_flight).await? {
                        Attempted::Ended(ended) => outcome = Some(ended),
                        Attempted::NotNow => {}
                        Attempted::Overtaken(by) => {
                            overtaken(&mut in_flight.stored.record, &by, now_us());
                            return self.end(in_flight).await;
                        }
                    }
                }
                Action::Save => self.save_waiting(&mut in_flight).await?,
                Action::End => return self.end(in_flight).await,
            }
        }
    }

    /// One attempt: recorded before the socket opens.
    async fn attempt(&self, in_flight: &mut InFlight<'_>) -> anyhow::Result<Attempted> {
        let setup = self.setup;
        let name = &setup.name;
        // Before its turn, so that it takes none of the time in which others may send.
        let picture = self.picture(in_flight).await;
        let critical = in_flight.all().any(|one| one.alert.severity == Severity::Critical);
        let slots = self.until_over(setup.gate.pass(critical)).await?;
        let _only_one = self.until_over(self.attempts.lock()).await?;
        // Another destination of the same chat or bot may have closed it meanwhile.
        let timeout = setup.destination.policy().timeout();
        if !setup.gate.may_send(now_us(), timeout) {
            return Ok(Attempted::NotNow);
        }
        if let Some(told_by) = self.read_anchor(in_flight).await? {
            return Ok(Attempted::Overtaken(told_by));
        }
        let acknowledged_by = self.acknowledged_by(in_flight).await?;
        let (request, editing) =
            self.request(in_flight, acknowledged_by.as_deref(), picture.as_deref());
        let timeout_us = i64::try_from(timeout.as_micros()).unwrap_or(0);
        let record = &mut in_flight.stored.record;
        record.begin(now_us().saturating_add(timeout_us), request.body_hash(), editing);
        record.stamp(&self.owner);
        self.records.save(name, &mut in_flight.stored).await?;
        let has_picture = request.has_picture;
        let started = Instant::now();
        let reply = self.destination.channel.send(request).await;
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
        let code = &in_flight.own.alert.code;
        self.destination.apply(&reply.outcome, code);
        if let Outcome::Sent { message_id } = &reply.outcome
            && editing != Some(Editing::ThenReply)
        {
            // Before another lane may tell of the alert.
            self.remember(in_flight, editing.is_some(), message_id, has_picture).await?;
        }
        Ok(Attempted::Ended(reply.outcome))
    }

    /// Reads what was told about the alert. Returns the message that told this already, or what came after it.
    async fn read_anchor(&self, in_flight: &mut InFlight<'_>) -> anyhow::Result<Option<String>> {
        let can = self.destination.channel.capabilities();
        let Some(alert) = in_flight.in_sequence().filter(|_| can.follows_up()) else {
            return Ok(None);
        };
        let anchor = self.records.anchor(&self.setup.name, &alert.alert).await?;
        if let Some(anchor) = anchor.as_ref().filter(|anchor| anchor.tells(alert)) {
            return Ok(Some(anchor.message_id.clone()));
        }
        in_flight.anchor = anchor;
        Ok(None)
    }

    /// Who takes care of the alert that a follow-up is about, where its message has buttons.
    async fn acknowledged_by(&self, in_flight: &InFlight<'_>) -> anyhow::Result<Option<String>> {
        let can = self.destination.channel.capabilities();
        if !can.buttons || in_flight.anchor.is_none() {
            return Ok(None);
        }
        let alert = &in_flight.own.alert.alert;
        let acknowledged = self.records.acknowledgement(alert).await?;
        Ok(acknowledged.map(|acknowledged| acknowledged.by))
    }

    /// The request of the next attempt, and what it is worth if it changes an earlier message.
    fn request(
        &self,
        in_flight: &InFlight<'_>,
        acknowledged_by: Option<&str>,
        picture: Option<&[u8]>,
    ) -> (Request, Option<Editing>) {
        let can = self.destination.channel.capabilities();
        let alerts: Vec<_> = in_flight.all().map(|one| one.alert.clone()).collect();
        let (alert, record) = (&in_flight.own.alert, &in_flight.stored.record);
        let anchor = in_flight.anchor.as_ref().filter(|_| in_flight.folded.is_empty());
        let place = anchor.map_or(Place::New, |anchor| anchor.place(alert, record.edited, can));
        let editing = match place {
            Place::Edit { .. } => anchor.map(|anchor| anchor.editing(alert)),
            Place::New | Place::Reply { .. } => None,
        };
        let content = MessageContent {
            own: &in_flight.own,
            alerts: &alerts,
            together: in_flight.together(),
            repeat: record.uncertain && !can.is_idempotent && editing.is_none(),
            plain: record.plain,
            is_gone: anchor.is_some_and(|anchor| anchor.is_gone_by(alert)),
            is_acknowledgement: is_acknowledgement(&in_flight.own),
            acknowledged_by,
            picture: picture.filter(|_| place == Place::New),
            place,
            voice: &self.voice,
        };
        (self.destination.channel.request(&content), editing)
    }

    /// The chart of an alert as a picture, where the destination wants one. It never keeps the message back: what cannot
    /// be drawn in time is left out.
    async fn picture(&self, in_flight: &InFlight<'_>) -> Option<Vec<u8>> {
        let chart = in_flight.chart().filter(|_| self.setup.destination.policy().charts)?;
        drawn_in_time(chart.clone(), self.voice.zone()).await
    }

    /// Records that it waits, so that a restart waits as well.
    async fn save_waiting(&self, in_flight: &mut InFlight<'_>) -> anyhow::Result<()> {
        if let Step::Wait { not_before_us, why } = &in_flight.stored.record.step {
            let delay = time_until(*not_before_us);
            self.retry.last_error().set(why.clone());
            tracing::warn!(
                destination = self.setup.name,
                code = in_flight.own.alert.code,
                attempts = in_flight.stored.record.attempts,
                delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                why,
                "message not sent yet, trying again"
            );
        }
        in_flight.stored.record.stamp(&self.owner);
        self.records.save(&self.setup.name, &mut in_flight.stored).await?;
        self.destination.save().await
    }

    /// Records how it ended, then publishes that.
    async fn end(&self, mut in_flight: InFlight<'_>) -> anyhow::Result<()> {
        let Some(ending) = in_flight.stored.record.ending() else { return Ok(()) };
        in_flight.stored.record.stamp(&self.owner);
        self.records.save(&self.setup.name, &mut in_flight.stored).await?;
        self.results.report(&in_flight, &ending);
        self.destination.save().await?;
        self.publish(in_flight).await
    }

    async fn publish(&self, in_flight: InFlight<'_>) -> anyhow::Result<()> {
        let copied = self.destination.copied(self.lane);
        self.results.publish(&in_flight, &self.outbox, copied).await?;
        self.carried.lock().extend(&in_flight.stored.record.folded);
        Ok(())
    }

    /// Keeps where an alert was told, so that what follows can change it.
    async fn remember(
        &self,
        in_flight: &InFlight<'_>,
        is_edit: bool,
        message_id: &str,
        has_picture: bool,
    ) -> anyhow::Result<()> {
        let can = self.destination.channel.capabilities();
        let (Some(alert), true) = (in_flight.in_sequence(), can.follows_up()) else {
            return Ok(());
        };
        let edited = if is_edit { Edited::Yes } else { in_flight.stored.record.edited };
        let anchor =
            Anchor::after(in_flight.anchor.clone(), alert, edited, message_id, has_picture);
        self.records.set_anchor(&self.setup.name, &alert.alert, &anchor).await
    }

    /// Waits until the next attempt, or until the destination is open again. Meanwhile its fallback
    /// gets the messages.
    async fn wait_while_closed(
        &self,
        in_flight: &InFlight<'_>,
        until_us: i64,
    ) -> anyhow::Result<()> {
        for _ in 0..MAX_CLOSED_LOOKS {
            self.copy_to_fallback(in_flight).await?;
            self.destination.reopen_if_tested().await?;
            let left = time_until(until_us);
            if left.is_zero() || self.setup.gate.closed().is_none() {
                break;
            }
            self.until_over(tokio::time::sleep(left.min(CLOSED_INTERVAL))).await?;
        }
        Ok(())
    }

    /// Hands over the waiting messages that the fallback has not got yet.
    async fn copy_to_fallback(&self, in_flight: &InFlight<'_>) -> anyhow::Result<()> {
        let setup = self.setup;
        if setup.destination.policy().fallback.is_none() {
            return Ok(());
        }
        let Some(closed) = setup.gate.closed() else { return Ok(()) };
        let text = setup.fallback_words.handed_over.waits;
        let first = in_flight.work.message.sequence;
        let before = self.destination.copied(self.lane);
        loop {
            let from = first.max(self.destination.copied(self.lane) + 1);
            let Some(message) = self.outbox.next_message(from).await? else { break };
            self.destination.set_copied(self.lane, message.sequence);
            // An unreadable message is handled when its turn comes; the fallback has got ended ones.
            if let Ok(notification) = decode(&message)
                && self.is_waiting(&notification.id).await?
            {
                self.results.hand_over(&message, &notification, text, &closed.why).await?;
            }
            self.until_over(std::future::ready(())).await?;
        }
        if self.destination.copied(self.lane) != before {
            self.destination.save_copied().await?;
        }
        Ok(())
    }

    async fn is_waiting(&self, delivery: &str) -> anyhow::Result<bool> {
        let record = self.records.load(&self.setup.name, delivery).await?;
        Ok(record.is_none_or(|stored| stored.record.ending().is_none()))
    }

    /// A message that cannot be processed: kept as a dead letter.
    async fn reject(&self, work: &Work, why: &str) -> anyhow::Result<()> {
        tracing::error!(
            destination = self.setup.name,
            sequence = work.message.sequence,
            why,
            "message in OUTBOX cannot be processed, kept as a dead letter"
        );
        publish_dead_letter(&self.setup.nats, STREAM, &work.message, why, &self.retry).await?;
        work.ack().await.context("acknowledge a message")
    }
}

fn time_until(at_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(at_us.saturating_sub(now_us())).unwrap_or(0))
}
