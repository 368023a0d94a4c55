//! What is known of a destination rather than of a message: whether it is closed, and where it has
//! moved to.

use anyhow::Context as _;
use crypto_intel_service::{LastError, now_us};
use parking_lot::Mutex;

use super::{Lane, Setup};
use serde_json::Value;

use crate::{
    channel::{Channel, Outcome, Scope},
    records::closed::{Closed, Refusal, fingerprint},
    records::record::Records,
};

/// A proxy may accept messages but no other requests: each one delays the next message.
const MAX_ROOM_REQUESTS: u32 = 3;

/// A change of what is kept of a destination. It is written after the record of the message that
/// brought it: the outcome of an attempt comes first.
#[derive(Debug)]
enum Change {
    Closed(Closed),
    Open,
    Learnt(Value),
}

/// The state of one destination while this instance sends to it, for both its lanes.
#[derive(Debug)]
pub(super) struct DestinationState<'a> {
    setup: &'a Setup,
    records: Records,
    last_error: LastError,
    pub(super) channel: Box<dyn Channel>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether the bucket says that the destination is closed.
    is_recorded_closed: bool,
    /// The fallback has got the waiting messages up to these stream sequences.
    copied: Copied,
    /// Requests for its room so far.
    room_requests: u32,
    unsaved: Option<Change>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Copied {
    normal: u64,
    critical: u64,
}

impl Copied {
    const fn of(self, lane: Lane) -> u64 {
        match lane {
            Lane::Normal => self.normal,
            Lane::Critical => self.critical,
        }
    }

    fn set(&mut self, lane: Lane, sequence: u64) {
        match lane {
            Lane::Normal => self.normal = sequence,
            Lane::Critical => self.critical = sequence,
        }
    }

    /// As it is recorded.
    fn into_record(self, closed: Closed) -> Closed {
        Closed { copied: self.normal, copied_critical: self.critical, ..closed }
    }
}

impl<'a> DestinationState<'a> {
    /// The state that the bucket has, as far as it applies to the configured address.
    pub(super) async fn load(
        setup: &'a Setup,
        records: &Records,
        last_error: &LastError,
    ) -> anyhow::Result<Self> {
        let state = Self {
            setup,
            records: records.clone(),
            last_error: last_error.clone(),
            channel: setup.destination.settings().open(&setup.clients),
            known: Mutex::default(),
        };
        state.load_learnt().await?;
        state.load_closed().await?;
        Ok(state)
    }

    /// Applies what an outcome says about the destination.
    pub(super) fn apply(&self, outcome: &Outcome, code: &str) {
        let setup = self.setup;
        let destination = setup.name.as_str();
        match *outcome {
            Outcome::Sent { .. } => {
                self.last_error.clear();
                if self.is_recorded_closed() || setup.gate.closed().is_some() {
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
            Outcome::Readdressed { ref why, ref hint } => {
                tracing::error!(
                    destination,
                    why,
                    hint,
                    "the address is corrected for now, the configuration is not"
                );
                self.known.lock().unsaved = self.channel.learnt().map(Change::Learnt);
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
    }

    fn is_recorded_closed(&self) -> bool {
        self.known.lock().is_recorded_closed
    }

    /// The fallback has got the waiting messages of a lane up to this stream sequence.
    pub(super) fn copied(&self, lane: Lane) -> u64 {
        self.known.lock().copied.of(lane)
    }

    pub(super) fn set_copied(&self, lane: Lane, sequence: u64) {
        self.known.lock().copied.set(lane, sequence);
    }

    /// Records what the fallback has got, while the destination is closed.
    pub(super) async fn save_copied(&self) -> anyhow::Result<()> {
        let Some(closed) = self.setup.gate.closed() else { return Ok(()) };
        let copied = {
            let known = self.known.lock();
            known.is_recorded_closed.then_some(known.copied)
        };
        let Some(copied) = copied else { return Ok(()) };
        self.records.set_closed(&self.setup.name, &copied.into_record(closed)).await
    }

    /// Writes what was learnt.
    pub(super) async fn save(&self) -> anyhow::Result<()> {
        let name = &self.setup.name;
        let unsaved = self.known.lock().unsaved.take();
        match unsaved {
            None => {}
            Some(Change::Closed(closed)) => self.records.set_closed(name, &closed).await?,
            Some(Change::Open) => self.records.clear_closed(name).await?,
            Some(Change::Learnt(learnt)) => self
                .records
                .set_learnt(name, &learnt)
                .await
                .context("remember what was learnt of the address")?,
        }
        Ok(())
    }

    /// Nothing can be sent until the cause is removed: messages wait, and the oldest is retried.
    fn close(&self, refusal: Refusal<'_>) {
        let setup = self.setup;
        let earlier = setup.gate.closed();
        let policy = setup.destination.policy();
        let address = fingerprint(&setup.destination.settings().address());
        let schedule = &policy.probe_after_seconds;
        let closed = Closed::after(earlier.as_ref(), refusal, &address, schedule, now_us());
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
        setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        let mut known = self.known.lock();
        known.is_recorded_closed = true;
        known.unsaved = Some(Change::Closed(known.copied.into_record(closed)));
    }

    /// It accepts messages again.
    pub(super) fn reopen(&self, why: &str) {
        let setup = self.setup;
        tracing::info!(
            destination = setup.name,
            why,
            "messages can be sent to this destination again"
        );
        setup.gate.open();
        setup.metrics.closed.with_label_values(&[&setup.name]).set(0);
        let mut known = self.known.lock();
        (known.is_recorded_closed, known.copied) = (false, Copied::default());
        known.unsaved = Some(Change::Open);
    }

    /// Opens the destination when the bucket no longer says that it is closed: a test message
    /// arrived.
    pub(super) async fn reopen_if_tested(&self) -> anyhow::Result<()> {
        if self.is_recorded_closed() && self.records.closed(&self.setup.name).await?.is_none() {
            self.reopen("a test message arrived");
            self.save().await?;
        }
        Ok(())
    }

    /// What closed the destination before this instance started, unless its address has changed.
    async fn load_closed(&self) -> anyhow::Result<()> {
        let setup = self.setup;
        let Some(closed) = self.records.closed(&setup.name).await? else { return Ok(()) };
        if closed.address == fingerprint(&setup.destination.settings().address()) {
            setup.gate.close(&closed);
            let copied = Copied { normal: closed.copied, critical: closed.copied_critical };
            let mut known = self.known.lock();
            (known.is_recorded_closed, known.copied) = (true, copied);
            setup.metrics.closed.with_label_values(&[&setup.name]).set(1);
        } else {
            self.reopen("its address was changed");
            self.save().await?;
        }
        Ok(())
    }

    /// Requests the room that it writes to, if it is not known yet. Done after a message was
    /// accepted, because an address that is gone must not get more requests than needed.
    pub(super) async fn find_room(&self) {
        if !self.channel.capabilities().has_rooms {
            return;
        }
        let gate = &self.setup.gate;
        if gate.knows_room() || gate.closed().is_some() {
            return;
        }
        {
            let mut known = self.known.lock();
            if known.room_requests >= MAX_ROOM_REQUESTS {
                return;
            }
            known.room_requests += 1;
        }
        if let Some(room) = self.channel.find_room().await {
            gate.join_room(&room, &self.setup.destination);
        }
    }

    /// What an earlier instance learnt, as long as the configuration has the same address.
    async fn load_learnt(&self) -> anyhow::Result<()> {
        let name = &self.setup.name;
        let learnt =
            self.records.learnt(name).await.context("read what was learnt of the address")?;
        if let Some(learnt) = learnt.filter(|learnt| self.channel.recall(learnt)) {
            // Written again, because the bucket drops old entries.
            self.records
                .set_learnt(name, &learnt)
                .await
                .context("remember what was learnt of the address")?;
        }
        Ok(())
    }
}
