//! Clients with equal filters: one list of pending events, one list of frames.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    filter::Filter,
    format::Format,
    frame::{Frame, Span, frames_of},
    gap::{Gap, gap_frame},
    index::CohortId,
    live_event::{BlockMark, LiveEvent},
    position::{Positions, Slot, SlotSet},
};

/// Frames that wait for clients that read more slowly than others.
const MAX_FRAMES: usize = 256;
/// The same in bytes.
const MAX_FRAMES_BYTES: usize = 4 << 20;

/// A member of a cohort.
pub(crate) type MemberId = u64;

/// Clients with one filter and one format.
#[derive(Debug)]
pub(crate) struct Cohort {
    pub(crate) id: CohortId,
    pub(crate) filter: Arc<Filter>,
    pub(crate) format: Format,
    pub(crate) streams: SlotSet,
    /// Number of the next frame: looking for one takes no lock.
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pending: Vec<Arc<LiveEvent>>,
    blocks: Vec<BlockMark>,
    /// Everything up to here was in frames.
    covered: Positions,
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    members: HashMap<MemberId, Arc<Notify>>,
}

/// Where a cohort is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CohortPlace {
    /// Number of the next frame.
    pub(crate) next: u64,
    /// What comes before it.
    pub(crate) covered: Positions,
}

/// What a client finds when it asks for a frame by its number.
#[derive(Debug)]
pub(crate) enum Taken {
    Frame(Arc<Frame>),
    NotYet,
    /// It was dropped: the client reads too slowly.
    Gone,
}

impl Cohort {
    pub(crate) fn new(
        id: CohortId,
        filter: Arc<Filter>,
        format: Format,
        covered: Positions,
    ) -> Self {
        let state = State {
            pending: Vec::new(),
            blocks: Vec::new(),
            covered,
            frames: VecDeque::new(),
            bytes: 0,
            members: HashMap::new(),
        };
        let streams = filter.streams();
        Self { id, filter, format, streams, next: AtomicU64::new(0), state: Mutex::new(state) }
    }

    pub(crate) fn add_member(&self, member: MemberId, waker: Arc<Notify>) {
        self.state.lock().members.insert(member, waker);
    }

    /// Returns whether it is empty now.
    pub(crate) fn remove_member(&self, member: MemberId) -> bool {
        let mut state = self.state.lock();
        state.members.remove(&member);
        state.members.is_empty()
    }

    pub(crate) fn place(&self) -> CohortPlace {
        let state = self.state.lock();
        CohortPlace { next: self.next.load(Ordering::Acquire), covered: state.covered }
    }

    /// What a client that has every frame up to `next` may count as seen, of what the hub has seen: all of it, unless something
    /// is still to be told.
    pub(crate) fn seen(&self, next: u64, hub: &Positions) -> Option<Positions> {
        let state = self.state.lock();
        (state.pending.is_empty() && self.next.load(Ordering::Acquire) == next).then_some(*hub)
    }

    /// Keeps an event for the next frame.
    pub(crate) fn push(&self, event: Arc<LiveEvent>) {
        self.state.lock().pending.push(event);
    }

    /// A block is whole: what waits of its chain belongs to whole blocks.
    pub(crate) fn end_block(&self, mark: &BlockMark) {
        let mut state = self.state.lock();
        let is_of_chain = |event: &Arc<LiveEvent>| {
            event.is_in_block && event.chain.as_deref() == Some(mark.chain.as_str())
        };
        if state.pending.iter().any(is_of_chain) {
            state.blocks.push(mark.clone());
        }
    }

    /// Makes frames of what waits. Returns how many were made.
    pub(crate) fn flush(&self, reached: Positions) -> usize {
        let mut state = self.state.lock();
        if state.pending.is_empty() {
            return 0;
        }
        let events = std::mem::take(&mut state.pending);
        let blocks = std::mem::take(&mut state.blocks);
        let span = Span { from: state.covered, to: reached, streams: self.streams };
        let frames = frames_of(self.format, &events, &blocks, span, false);
        let count = frames.len();
        state.covered = reached;
        frames.into_iter().for_each(|frame| self.add(&mut state, frame));
        state.wake();
        count
    }

    /// Tells of a gap in a stream, after which the stream goes on at `reached`.
    pub(crate) fn tell_gap(&self, gap: &Gap, slot: Slot, reached: Positions) {
        let mut state = self.state.lock();
        state.covered.set(slot, reached.at(slot));
        let frame = gap_frame(self.format, gap, state.covered, self.streams);
        self.add(&mut state, frame);
        state.wake();
    }

    /// A stream begins here, of which nothing was told yet.
    pub(crate) fn set_covered(&self, slot: Slot, reached: Positions) {
        self.state.lock().covered.set(slot, reached.at(slot));
    }

    fn add(&self, state: &mut State, frame: Frame) {
        state.bytes += frame.bytes();
        state.frames.push_back(Arc::new(frame));
        self.next.fetch_add(1, Ordering::AcqRel);
        while state.frames.len() > MAX_FRAMES
            || state.bytes > MAX_FRAMES_BYTES && state.frames.len() > 1
        {
            let Some(oldest) = state.frames.pop_front() else { return };
            state.bytes -= oldest.bytes();
        }
    }

    /// The frame with a number.
    pub(crate) fn take(&self, number: u64) -> Taken {
        let next = self.next.load(Ordering::Acquire);
        if number >= next {
            return Taken::NotYet;
        }
        let state = self.state.lock();
        let next = self.next.load(Ordering::Acquire);
        let first = next - state.frames.len() as u64;
        match number.checked_sub(first) {
            Some(place) => match state.frames.get(place as usize) {
                Some(frame) => Taken::Frame(Arc::clone(frame)),
                None => Taken::NotYet,
            },
            None => Taken::Gone,
        }
    }
}

impl State {
    fn wake(&self) {
        self.members.values().for_each(|waker| waker.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use crypto_intel_nats::Position;
    use crypto_intel_schemas::{Kind, Stream, samples};

    use super::{
        super::{filter::tests::of, live_event::tests::live},
        *,
    };

    fn reached(sequence: u64) -> Positions {
        let mut positions = Positions::default();
        positions.set(Slot::of(Stream::Evm).unwrap(), Position { sequence, stored_at_us: 0 });
        positions
    }

    fn cohort() -> Cohort {
        Cohort::new(1, Arc::new(of(&[Kind::Swap])), Format::Json, Positions::default())
    }

    fn swap(sequence: u64) -> Arc<LiveEvent> {
        Arc::new(live(&samples::sample(Kind::Swap), sequence))
    }

    #[test]
    fn a_frame_is_found_by_its_number_until_it_is_dropped() {
        let cohort = cohort();
        assert!(matches!(cohort.take(0), Taken::NotYet));
        assert_eq!(cohort.flush(reached(1)), 0);
        for sequence in 1..=300 {
            cohort.push(swap(sequence));
            assert_eq!(cohort.flush(reached(sequence)), 1);
        }
        assert!(matches!(cohort.take(0), Taken::Gone));
        assert!(matches!(cohort.take(43), Taken::Gone));
        assert!(matches!(cohort.take(44), Taken::Frame(frame) if frame.to == reached(45)));
        assert!(matches!(cohort.take(299), Taken::Frame(_)));
        assert!(matches!(cohort.take(300), Taken::NotYet));
    }

    #[test]
    fn frames_that_wait_are_bounded_by_bytes() {
        let cohort = cohort();
        for round in 0..200 {
            (0..80).for_each(|place| cohort.push(swap(round * 80 + place + 1)));
            cohort.flush(reached((round + 1) * 80));
        }
        assert!(cohort.state.lock().bytes <= MAX_FRAMES_BYTES);
    }

    #[test]
    fn only_what_was_told_counts_as_seen() {
        let cohort = cohort();
        assert_eq!(cohort.seen(0, &reached(9)), Some(reached(9)));
        cohort.push(swap(1));
        assert_eq!(cohort.seen(0, &reached(9)), None);
        cohort.flush(reached(1));
        assert_eq!(cohort.seen(0, &reached(9)), None);
        assert_eq!(cohort.seen(1, &reached(9)), Some(reached(9)));
    }

    #[test]
    fn a_frame_names_the_blocks_that_are_whole_with_it() {
        let cohort = cohort();
        let marker = live(&samples::sample(Kind::Block), 2);
        let mark = marker.mark.as_ref().unwrap();
        cohort.end_block(mark);
        assert!(cohort.state.lock().blocks.is_empty(), "nothing of it waits");
        cohort.push(swap(3));
        cohort.end_block(&BlockMark { chain: "base".to_owned(), ..mark.clone() });
        cohort.end_block(mark);
        assert_eq!(cohort.state.lock().blocks, std::slice::from_ref(mark));
    }
}
