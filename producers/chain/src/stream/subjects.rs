//! Subjects of one chain, and messages on them.

use std::borrow::Cow;

use bytes::Bytes;
use crypto_intel_nats::OutMessage;
use crypto_intel_schemas::{
    Event, Kind,
    subjects::{self, Lane},
};

use crate::source::bodies::Bodies;

/// Subjects of one lane of one chain.
#[derive(Debug, Clone)]
pub(crate) struct Subjects {
    /// By the kind's place in [`Kind::ALL`], which is its discriminant.
    by_kind: Vec<String>,
    all: String,
    marker: String,
    chain: String,
    lane: Lane,
    copies: String,
}

impl Subjects {
    pub(crate) fn of_chain(chain: &str) -> Self {
        Self::of_lane(Lane::Live, chain)
    }

    /// Those of the chain's history lane.
    pub(crate) fn of_history(chain: &str) -> Self {
        Self::of_lane(Lane::History, chain)
    }

    fn of_lane(lane: Lane, chain: &str) -> Self {
        let by_kind = Kind::ALL.iter().map(|kind| subjects::chain(lane, chain, *kind)).collect();
        Self {
            by_kind,
            all: subjects::chain_all(lane, chain),
            chain: chain.to_owned(),
            marker: subjects::chain(lane, chain, Kind::Block),
            lane,
            copies: subjects::watch_chain_all(chain),
        }
    }

    /// Filter of everything of the chain.
    pub(crate) fn all(&self) -> &str {
        &self.all
    }

    /// Filter of all copies for watched addresses.
    pub(crate) fn copies(&self) -> &str {
        &self.copies
    }

    /// Whether a subject is one of the chain's own, not that of a copy.
    pub(crate) fn is_own(&self, subject: &str) -> bool {
        is_under(subject, &self.all)
    }

    /// Subject of the markers.
    pub(crate) fn marker(&self) -> &str {
        &self.marker
    }

    fn of(&self, kind: Kind) -> String {
        self.by_kind.get(kind as usize).cloned().unwrap_or_default()
    }

    fn of_event(&self, name: &str) -> String {
        subjects::chain_event(self.lane, &self.chain, name)
    }

    /// The messages of a block's bodies, each followed by its copies for watched addresses.
    pub(crate) fn add_bodies_and_copies(&self, bodies: &Bodies, messages: &mut Vec<OutMessage>) {
        if bodies.copies.is_empty() {
            return self.add_bodies(bodies, messages);
        }
        let mut own = Vec::new();
        self.add_bodies(bodies, &mut own);
        let mut copies = bodies.copies.iter().peekable();
        for (place, message) in own.into_iter().enumerate() {
            messages.push(message.clone());
            while let Some((_, subject)) = copies.next_if(|(of, _)| *of == place) {
                messages.push(OutMessage { subject: subject.clone(), ..message.clone() });
            }
        }
    }

    /// The messages of a block's bodies.
    pub(crate) fn add_bodies(&self, bodies: &Bodies, messages: &mut Vec<OutMessage>) {
        messages.reserve(bodies.len() + 3);
        let mut event_names = bodies.event_names.iter();
        for (kind, range) in &bodies.parts {
            let name = match kind {
                Kind::ContractEvent => event_names.next(),
                _ => None,
            };
            messages.push(OutMessage {
                subject: match name {
                    Some(name) => self.of_event(name),
                    None => self.of(*kind),
                },
                schema: Some(Cow::Borrowed(kind.schema())),
                payload: bodies.bytes.slice(range.clone()),
                message_id: None,
                headers: Vec::new(),
            });
        }
    }

    /// The end of each event's subject, behind the lane and the chain.
    pub(crate) fn tails<'a>(&'a self, bodies: &'a Bodies) -> impl Iterator<Item = Cow<'a, str>> {
        let mut event_names = bodies.event_names.iter();
        let stem = self.all.len() - 1;
        bodies.kinds().map(move |kind| match kind {
            Kind::ContractEvent => {
                let name = event_names.next().map_or("", String::as_str);
                Cow::Owned(self.of_event(name).split_off(stem))
            }
            _ => Cow::Borrowed(kind.as_str()),
        })
    }

    /// Subject of messages with many events of the history lane.
    pub(crate) fn chunk(&self) -> String {
        subjects::history_chunk(&self.chain)
    }

    /// One event as a message.
    pub(crate) fn message(&self, event: &Event) -> OutMessage {
        let kind = event.kind();
        OutMessage {
            subject: match event {
                Event::ContractEvent(body) => self.of_event(&body.name),
                _ => self.of(kind),
            },
            schema: Some(Cow::Borrowed(kind.schema())),
            payload: Bytes::from(event.encode()),
            message_id: None,
            headers: Vec::new(),
        }
    }
}

/// Whether a subject matches a filter that ends in `>`.
pub(crate) fn is_under(subject: &str, filter: &str) -> bool {
    filter.strip_suffix('>').is_some_and(|prefix| subject.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::{ContractEvent, Log};

    use super::*;
    use crate::source::bodies::BodiesWriter;

    #[test]
    fn every_kind_finds_its_own_subject() {
        let (subjects, past) = (Subjects::of_chain("base"), Subjects::of_history("base"));
        for kind in Kind::ALL {
            assert_eq!(subjects.of(*kind), format!("evm.base.{kind}"));
            assert_eq!(past.of(*kind), format!("history.base.{kind}"));
        }
    }

    #[test]
    fn the_end_of_a_subject_is_that_of_the_whole_one() {
        let past = Subjects::of_history("base");
        let mut writer = BodiesWriter::with_capacity(2);
        let named = ContractEvent { name: "AnswerUpdated".into(), ..ContractEvent::empty() };
        writer.push(&Event::from(Log::empty()), []);
        writer.push(&Event::from(named), []);
        let bodies = writer.finish();
        let mut messages = Vec::new();
        past.add_bodies(&bodies, &mut messages);
        let whole = messages.into_iter().map(|message| message.subject);
        let of_tails = past.tails(&bodies).map(|tail| format!("history.base.{tail}"));
        assert_eq!(of_tails.collect::<Vec<_>>(), whole.collect::<Vec<_>>());
    }
}
