//! A block's events as bodies, one after the other in one buffer.

use std::ops::Range;

use bytes::Bytes;
use crypto_intel_schemas::{Block, Event, Kind};

use crate::source::header::Header;

/// A fetched block with its events encoded.
#[derive(Debug)]
pub struct Prepared<D> {
    /// What links it to its parent.
    pub header: Header,
    /// Its marker, as far as the family knows it: without finality and counts.
    pub marker: Block,
    /// Its events.
    pub bodies: Bodies,
    /// What the family keeps of it.
    pub detail: D,
}

/// Encoded events of one block, in their order.
#[derive(Debug, Clone, Default)]
pub struct Bodies {
    pub(crate) bytes: Bytes,
    pub(crate) parts: Vec<(Kind, Range<usize>)>,
    /// Names of those that are `event`, in their order: their subjects end in it.
    pub(crate) event_names: Vec<String>,
    /// Subjects of copies, with the place of the event that each repeats, in its order.
    pub(crate) copies: Vec<(usize, String)>,
}

impl Bodies {
    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many copies go to the subjects of watched addresses.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.copies.len()
    }

    /// Each body, in order.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|(_, range)| &self.bytes[range.clone()])
    }

    /// Kinds of the events.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.parts.iter().map(|(kind, _)| *kind)
    }
}

/// Encodes the events of a block.
#[derive(Debug)]
pub struct BodiesWriter {
    buffer: Vec<u8>,
    bodies: Bodies,
}

/// Bytes of a usual event: the buffer rarely grows.
const USUAL_EVENT_BYTES: usize = 640;

impl BodiesWriter {
    /// For about so many events.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        let bodies = Bodies { parts: Vec::with_capacity(events), ..Bodies::default() };
        Self { buffer: Vec::with_capacity(events * USUAL_EVENT_BYTES), bodies }
    }

    /// Adds an event, and the subjects on which it is repeated.
    pub fn push(&mut self, event: &Event, copies: impl IntoIterator<Item = String>) {
        let (start, place) = (self.buffer.len(), self.bodies.parts.len());
        event.encode_to(&mut self.buffer);
        if let Event::ContractEvent(body) = event {
            self.bodies.event_names.push(body.name.clone());
        }
        self.bodies.parts.push((event.kind(), start..self.buffer.len()));
        self.bodies.copies.extend(copies.into_iter().map(|subject| (place, subject)));
    }

    /// All of them.
    #[must_use]
    pub fn finish(self) -> Bodies {
        Bodies { bytes: Bytes::from(self.buffer), ..self.bodies }
    }
}
