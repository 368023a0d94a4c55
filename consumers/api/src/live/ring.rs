//! The newest events of one stream, from which clients go on where they were.

use std::{collections::VecDeque, sync::Arc};

use crypto_intel_nats::Position;

use super::{filter::Filter, live_event::LiveEvent};

/// Events of one segment: what is handed out together, and forgotten together.
const SEGMENT_EVENTS: usize = 256;

type Segment = Arc<[Arc<LiveEvent>]>;

/// Bounds of a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLimits {
    /// Maximum number of events.
    pub(crate) events: usize,
    /// Maximum weight of the events, bytes.
    pub(crate) bytes: usize,
}

/// Whether a position can be resumed from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// All that came after it is here.
    Held,
    /// Some of what came after it is gone from here.
    Before,
    /// It is beyond the newest event.
    Ahead,
    /// The stream's message at this place is another one.
    OfAnotherStream,
}

/// The newest events of one stream, in its order.
#[derive(Debug)]
pub(crate) struct Ring {
    limits: RingLimits,
    sealed: VecDeque<Segment>,
    open: Vec<Arc<LiveEvent>>,
    events: usize,
    bytes: usize,
    /// Everything after this is held.
    floor: Position,
    last: Position,
}

impl Ring {
    /// A ring that will hold everything after `floor`.
    pub(crate) const fn new(limits: RingLimits, floor: Position) -> Self {
        Self {
            limits,
            sealed: VecDeque::new(),
            open: Vec::new(),
            events: 0,
            bytes: 0,
            floor,
            last: floor,
        }
    }

    /// Forgets everything: what comes now follows `floor`.
    pub(crate) fn restart(&mut self, floor: Position) {
        *self = Self::new(self.limits, floor);
    }

    pub(crate) fn push(&mut self, event: Arc<LiveEvent>) {
        debug_assert!(event.position.sequence > self.last.sequence);
        self.last = event.position;
        self.events += 1;
        self.bytes += event.weight();
        self.open.push(event);
        if self.open.len() >= SEGMENT_EVENTS {
            self.sealed.push_back(std::mem::take(&mut self.open).into());
        }
        while self.events > self.limits.events || self.bytes > self.limits.bytes {
            if !self.forget_oldest() {
                break;
            }
        }
    }

    /// What was passed over holds nothing for anybody.
    pub(crate) fn pass(&mut self, position: Position) {
        self.last = self.last.max(position);
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = match self.sealed.pop_front() {
            Some(segment) => segment,
            // One that is not full yet is kept whole unless it is too heavy itself.
            None if self.open.len() > 1 => {
                let newest = self.open.split_off(self.open.len() - 1);
                std::mem::replace(&mut self.open, newest).into()
            }
            None => return false,
        };
        self.events -= oldest.len();
        self.bytes -= oldest.iter().map(|event| event.weight()).sum::<usize>();
        if let Some(event) = oldest.last() {
            self.floor = event.position;
        }
        true
    }

    pub(crate) const fn floor(&self) -> Position {
        self.floor
    }

    pub(crate) const fn last(&self) -> Position {
        self.last
    }

    pub(crate) const fn len(&self) -> usize {
        self.events
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether what came after a position is held.
    pub(crate) fn place_of(&self, position: Position) -> Place {
        if position.sequence > self.last.sequence {
            return Place::Ahead;
        }
        if position.sequence < self.floor.sequence {
            return Place::Before;
        }
        let known = if position.sequence == self.last.sequence {
            Some(self.last)
        } else if position.sequence == self.floor.sequence {
            Some(self.floor)
        } else {
            self.at(position.sequence)
        };
        let is_other = |known: Position| {
            known.sequence == position.sequence
                && known.stored_at_us > 0
                && position.stored_at_us > 0
                && known.stored_at_us != position.stored_at_us
        };
        if known.is_some_and(is_other) { Place::OfAnotherStream } else { Place::Held }
    }

    fn at(&self, sequence: u64) -> Option<Position> {
        let is_before = |segment: &Segment| {
            segment.last().is_some_and(|last| last.position.sequence < sequence)
        };
        let segment: &[Arc<LiveEvent>] = self
            .sealed
            .get(self.sealed.partition_point(is_before))
            .map_or(&self.open, |segment| segment);
        let found = segment.binary_search_by_key(&sequence, |event| event.position.sequence);
        found.ok().map(|place| segment[place].position)
    }

    /// What came after `after`, up to `up_to`: cheap to take, to be read outside of any lock.
    pub(crate) fn after(&self, after: Position, up_to: Position) -> Backlog {
        let is_before = |segment: &Segment| {
            segment.last().is_some_and(|last| last.position.sequence <= after.sequence)
        };
        let first = self.sealed.partition_point(is_before);
        let mut segments: VecDeque<Segment> = self.sealed.iter().skip(first).cloned().collect();
        if !self.open.is_empty() {
            segments.push_back(self.open.as_slice().into());
        }
        Backlog { segments, at: 0, after: after.sequence, up_to: up_to.sequence, marker: None }
    }
}

/// Events that were in a ring.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    segments: VecDeque<Segment>,
    at: usize,
    after: u64,
    up_to: u64,
    /// A marker that was handed out as an event, and ends its block.
    marker: Option<Arc<LiveEvent>>,
}

/// What comes next of a backlog.
#[derive(Debug)]
pub(crate) enum Step {
    /// An event that matches.
    Event(Arc<LiveEvent>),
    /// A block ends; its marker came before if it matches.
    BlockEnd(Arc<LiveEvent>),
}

impl Backlog {
    /// The next event that matches, or end of a block.
    pub(crate) fn next(&mut self, filter: &Filter) -> Option<Step> {
        if let Some(marker) = self.marker.take() {
            return Some(Step::BlockEnd(marker));
        }
        while let Some(segment) = self.segments.front() {
            while let Some(event) = segment.get(self.at) {
                self.at += 1;
                let sequence = event.position.sequence;
                if sequence > self.up_to {
                    break;
                }
                if sequence <= self.after {
                    continue;
                }
                if filter.matches(event) {
                    if event.mark.is_some() {
                        self.marker = Some(Arc::clone(event));
                    }
                    return Some(Step::Event(Arc::clone(event)));
                }
                if event.mark.is_some() {
                    return Some(Step::BlockEnd(Arc::clone(event)));
                }
            }
            self.segments.pop_front();
            self.at = 0;
        }
        None
    }

    /// The newest events that match, oldest first.
    pub(crate) fn newest_matching(&self, filter: &Filter, most: usize) -> Vec<Arc<LiveEvent>> {
        let events = self.segments.iter().rev().flat_map(|segment| segment.iter().rev());
        let wanted = events.filter(|event| {
            let sequence = event.position.sequence;
            sequence > self.after && sequence <= self.up_to && filter.matches(event)
        });
        let mut newest: Vec<Arc<LiveEvent>> = wanted.take(most).cloned().collect();
        newest.reverse();
        newest
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_schemas::{Event, Kind, samples};

    use super::{
        super::{filter::tests::of, live_event::tests::live},
        *,
    };

    const WIDE: RingLimits = RingLimits { events: 1_000, bytes: 64 << 20 };

    fn event(sequence: u64) -> Arc<LiveEvent> {
        let kind = if sequence.is_multiple_of(2) { Kind::Swap } else { Kind::Approval };
        Arc::new(live(&samples::sample_minimal(kind), sequence))
    }

    fn ring(limits: RingLimits, sequences: impl IntoIterator<Item = u64>) -> Ring {
        let mut ring = Ring::new(limits, Position::default());
        sequences.into_iter().for_each(|sequence| ring.push(event(sequence)));
        ring
    }

    fn drain(mut backlog: Backlog, filter: &Filter) -> Vec<u64> {
        let steps = std::iter::from_fn(|| backlog.next(filter));
        let events = steps.filter_map(|step| match step {
            Step::Event(event) => Some(event.position.sequence),
            Step::BlockEnd(_) => None,
        });
        events.collect()
    }

    fn at(sequence: u64) -> Position {
        Position { sequence, stored_at_us: 0 }
    }

    #[test]
    fn what_came_after_a_position_is_there_in_order() {
        let ring = ring(WIDE, (1..=700).map(|n| n * 3));
        let both = of(&[Kind::Swap, Kind::Approval]);
        let all: Vec<u64> = (1..=700).map(|n| n * 3).collect();
        assert_eq!(drain(ring.after(at(0), ring.last()), &both), all);
        assert_eq!(drain(ring.after(at(2_000), at(2_010)), &both), [2_001, 2_004, 2_007, 2_010]);
        assert_eq!(drain(ring.after(at(2_000), at(2_010)), &of(&[Kind::Swap])), [2_004, 2_010]);
        assert!(drain(ring.after(at(2_100), ring.last()), &both).is_empty());
    }

    #[test]
    fn it_is_bounded_by_events_and_by_bytes() {
        let few = ring(RingLimits { events: 600, ..WIDE }, 1..=2_000);
        assert!(few.len() <= 600 && few.len() > 300, "{}", few.len());
        assert_eq!(few.floor().sequence + few.len() as u64, 2_000);
        let weight = event(1).weight();
        let light = ring(RingLimits { bytes: weight * 40, ..WIDE }, 1..=2_000);
        assert!(light.bytes() <= weight * 41, "{}", light.bytes());
        assert_eq!(light.floor().sequence + light.len() as u64, 2_000);
    }

    #[test]
    fn a_place_says_whether_it_can_be_resumed() {
        let ring = ring(RingLimits { events: 600, ..WIDE }, 1..=1_000);
        let floor = ring.floor();
        let stored = |sequence: u64, by: i64| Position {
            sequence,
            stored_at_us: event(sequence).position.stored_at_us + by,
        };
        for (position, expected) in [
            (at(0), Place::Before),
            (at(floor.sequence - 1), Place::Before),
            (floor, Place::Held),
            (stored(800, 0), Place::Held),
            (stored(800, 1), Place::OfAnotherStream),
            (at(800), Place::Held),
            (stored(1_000, 0), Place::Held),
            (stored(1_000, 9), Place::OfAnotherStream),
            (at(1_001), Place::Ahead),
        ] {
            assert_eq!(ring.place_of(position), expected, "{position:?}");
        }
    }

    #[test]
    fn the_newest_that_match_come_oldest_first() {
        let ring = ring(WIDE, 1..=700);
        let backlog = ring.after(ring.floor(), at(600));
        let newest = backlog.newest_matching(&of(&[Kind::Swap]), 3);
        let sequences: Vec<u64> = newest.iter().map(|event| event.position.sequence).collect();
        assert_eq!(sequences, [596, 598, 600]);
    }

    #[test]
    fn the_end_of_a_block_comes_after_its_marker() {
        let mut ring = Ring::new(WIDE, Position::default());
        for (sequence, kind) in [(1, Kind::Swap), (2, Kind::Block), (3, Kind::Swap)] {
            ring.push(Arc::new(live(&samples::sample(kind), sequence)));
        }
        let steps = |filter: Filter| -> Vec<(u64, bool)> {
            let mut backlog = ring.after(at(0), ring.last());
            std::iter::from_fn(|| backlog.next(&filter))
                .map(|step| match step {
                    Step::Event(event) => (event.position.sequence, false),
                    Step::BlockEnd(marker) => (marker.position.sequence, true),
                })
                .collect()
        };
        assert_eq!(steps(of(&[Kind::Swap])), [(1, false), (2, true), (3, false)]);
        assert_eq!(steps(of(&[Kind::Block])), [(2, false), (2, true)]);
    }

    #[test]
    fn after_a_restart_nothing_of_before_is_left() {
        let mut ring = ring(WIDE, 1..=300);
        ring.restart(at(5));
        assert_eq!((ring.len(), ring.bytes(), ring.last()), (0, 0, at(5)));
        let event = Event::from(crypto_intel_schemas::Swap::empty());
        ring.push(Arc::new(live(&event, 6)));
        assert_eq!(ring.place_of(at(5)), Place::Held);
    }
}
