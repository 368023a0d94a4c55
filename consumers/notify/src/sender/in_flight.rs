//! A message between its queue and its end.

use crypto_intel_nats::{StreamMessage, Work};
use crypto_intel_schemas::{Alert, Chart, Event, Notification};

use super::step::Message;
use crate::{
    channel::Together,
    records::anchor::{Anchor, is_in_sequence},
    records::delivery::waits_since_us,
    records::record::Stored,
    routing::judge::QUIET_GROUP,
};

/// A message that is being delivered, and its record.
#[derive(Debug)]
pub(super) struct InFlight<'w> {
    pub(super) work: &'w Work,
    /// The message itself.
    pub(super) own: Notification,
    /// Those folded into it.
    pub(super) folded: Vec<Notification>,
    pub(super) stored: Stored,
    /// What was told about the alert until now, as far as it has been asked for.
    pub(super) anchor: Option<Anchor>,
}

/// A message that another one carries.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) message: StreamMessage,
    pub(super) notification: Notification,
}

impl InFlight<'_> {
    /// The message and those folded into it.
    pub(super) fn all(&self) -> impl Iterator<Item = &Notification> {
        std::iter::once(&self.own).chain(&self.folded)
    }

    /// The alert, where the message is one of the sequence about it and stands for itself.
    pub(super) fn in_sequence(&self) -> Option<&Alert> {
        (self.folded.is_empty() && is_in_sequence(&self.own)).then_some(&self.own.alert)
    }

    /// What a picture shows: of a first message about one alert, while its text has its form.
    pub(super) fn chart(&self) -> Option<&Chart> {
        let is_first = self.folded.is_empty() && self.anchor.is_none() && !self.stored.record.plain;
        self.own.alert.chart.as_ref().filter(|_| is_first)
    }

    /// Why they are one message: as a group, where all are of one.
    pub(super) fn together(&self) -> Together {
        let Some(group) = &self.own.group else { return Together::Flood };
        if self.folded.iter().any(|one| one.group.as_ref() != Some(group)) {
            return Together::Flood;
        }
        if group.starts_with(QUIET_GROUP) { Together::Quiet } else { Together::Group }
    }

    /// What the next step depends on.
    pub(super) fn facts(&self, is_idempotent: bool) -> Message {
        Message {
            severity: self.all().map(|one| one.alert.severity).max().unwrap_or_default(),
            since_us: waits_since_us(&self.own),
            youngest_us: self.all().map(waits_since_us).max().unwrap_or_default(),
            is_idempotent,
        }
    }
}

/// The notification in a message, or why there is none.
pub(crate) fn decode(message: &StreamMessage) -> Result<Notification, String> {
    match Event::decode(&message.payload) {
        Ok(Event::Notification(notification)) => Ok(notification),
        Ok(other) => Err(format!("{} is no notification", other.kind())),
        Err(error) => Err(format!("{:#}", anyhow::Error::new(error))),
    }
}
