//! The one place where streams meet clients: rings, cohorts and the index between them.

mod clients;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crypto_intel_nats::{Nats, Position};
use crypto_intel_schemas::Kind;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::Instant,
};

use super::{
    cohort::Cohort,
    filter::Filter,
    format::Format,
    gap::{Gap, GapReason},
    index::{CohortId, Index},
    kind_set::KindSet,
    live_event::{BlockMark, LiveEvent},
    metrics::LiveMetrics,
    position::{Positions, STREAMS, Slot, SlotSet},
    ring::{Ring, RingLimits},
};

/// Events that belong to no block wait so long for others.
const FRAME_INTERVAL: Duration = Duration::from_millis(50);
/// Events of a block wait for its marker; should it not come, so long.
const BLOCK_INTERVAL: Duration = Duration::from_secs(2);
/// Clients that may read a stream for what is not in memory, at once.
const MAX_RANGE_READERS: usize = 4;

pub(crate) use clients::Membership;

/// Bounds of the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubLimits {
    /// Of each stream's ring.
    pub(crate) ring: RingLimits,
    /// Addresses of all filters together.
    pub(crate) addresses: usize,
}

/// Streams and clients.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) nats: Nats,
    pub(crate) metrics: LiveMetrics,
    pub(crate) range_readers: Arc<Semaphore>,
    /// Name of this process, in consumers.
    pub(crate) instance: String,
    limits: HubLimits,
    state: Mutex<State>,
    /// Kinds whose JSON is wanted, as bits.
    json_kinds: AtomicU64,
    streams: [StreamState; STREAMS.len()],
    members: AtomicU64,
    addresses: AtomicUsize,
    flush_soon: Notify,
}

/// What readers say of a stream.
#[derive(Debug)]
struct StreamState {
    /// Whether the ring is filled up to the stream's end, and followed from there.
    is_followed: watch::Sender<bool>,
    /// Messages that are still to be read.
    lag: AtomicU64,
}

#[derive(Debug)]
struct State {
    rings: Vec<Ring>,
    positions: Positions,
    cohorts: HashMap<CohortKey, Arc<Cohort>>,
    by_id: HashMap<CohortId, Arc<Cohort>>,
    index: Index,
    /// Cohorts with something to tell, and when at the latest.
    due: HashMap<CohortId, Instant>,
    heads: HashMap<String, BlockMark>,
    next_cohort: CohortId,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CohortKey {
    filter: Arc<Filter>,
    format: Format,
}

impl Hub {
    pub(crate) fn new(
        nats: Nats,
        instance: String,
        limits: HubLimits,
        metrics: LiveMetrics,
    ) -> Arc<Self> {
        let state = State {
            rings: STREAMS.iter().map(|_| Ring::new(limits.ring, Position::default())).collect(),
            positions: Positions::default(),
            cohorts: HashMap::new(),
            by_id: HashMap::new(),
            index: Index::default(),
            due: HashMap::new(),
            heads: HashMap::new(),
            next_cohort: 1,
        };
        Arc::new(Self {
            nats,
            metrics,
            range_readers: Arc::new(Semaphore::new(MAX_RANGE_READERS)),
            instance,
            limits,
            state: Mutex::new(state),
            json_kinds: AtomicU64::new(0),
            streams: STREAMS.map(|_| StreamState {
                is_followed: watch::Sender::new(false),
                lag: AtomicU64::new(0),
            }),
            members: AtomicU64::new(1),
            addresses: AtomicUsize::new(0),
            flush_soon: Notify::new(),
        })
    }

    /// Whether the JSON of a kind will be wanted.
    pub(crate) fn wants_json(&self, kind: Kind) -> bool {
        KindSet::from_bits(self.json_kinds.load(Ordering::Relaxed)).contains(kind)
    }

    /// A stream is read from here on: its ring is filled first.
    pub(crate) fn begin(&self, slot: Slot, floor: Position) {
        self.streams[slot.index()].is_followed.send_replace(false);
        self.state.lock().rings[slot.index()].restart(floor);
    }

    /// Fills a ring with what was there before anybody could listen.
    pub(crate) fn fill(&self, slot: Slot, events: Vec<LiveEvent>, passed: Position) {
        let mut state = self.state.lock();
        for event in events {
            if let Some(mark) = &event.mark {
                state.take_head(mark);
            }
            state.rings[slot.index()].push(Arc::new(event));
        }
        state.rings[slot.index()].pass(passed);
    }

    /// A stream's ring is filled: clients are told from here on. Clients that listened before the stream was recreated are told so.
    pub(crate) fn follow(&self, slot: Slot, gap: Option<&Gap>) {
        let mut state = self.state.lock();
        let last = state.rings[slot.index()].last();
        state.positions.set(slot, last);
        if let Some(gap) = gap {
            self.tell_gap(&mut state, slot, gap);
        } else {
            // They wait for it, and have been told nothing of it.
            let positions = state.positions;
            state.listening_to(slot).for_each(|cohort| cohort.set_covered(slot, positions));
        }
        drop(state);
        self.streams[slot.index()].is_followed.send_replace(true);
    }

    /// Messages of a stream are gone unread.
    pub(crate) fn lose(&self, slot: Slot, from: u64, to: u64) {
        let mut state = self.state.lock();
        let floor = Position { sequence: to, stored_at_us: 0 };
        state.rings[slot.index()].restart(floor);
        state.positions.set(slot, floor);
        let gap = Gap {
            stream: slot.stream().name(),
            from: Some(from),
            to: Some(to),
            reason: GapReason::Retention,
            get: None,
        };
        self.tell_gap(&mut state, slot, &gap);
    }

    fn tell_gap(&self, state: &mut State, slot: Slot, gap: &Gap) {
        let positions = state.positions;
        for cohort in state.listening_to(slot) {
            self.count_frames(cohort.flush(positions));
            cohort.tell_gap(gap, slot, positions);
            self.metrics.gaps.with_label_values(&[gap.reason.as_str()]).inc();
        }
    }

    /// New events of a stream, which was read up to `passed`.
    pub(crate) fn take(&self, slot: Slot, events: Vec<LiveEvent>, passed: Position) {
        let now = Instant::now();
        let mut found = Vec::new();
        let mut is_sooner = false;
        let mut state = self.state.lock();
        for event in events {
            let event = Arc::new(event);
            state.positions.set(slot, event.position);
            is_sooner |= state.hand_out(&event, &mut found, now);
            state.rings[slot.index()].push(Arc::clone(&event));
            if let Some(mark) = &event.mark {
                state.take_head(mark);
                self.end_block(&mut state, mark);
            }
        }
        state.positions.set(slot, passed);
        state.rings[slot.index()].pass(passed);
        let ring = &state.rings[slot.index()];
        self.metrics.set_ring(slot, ring.len(), ring.bytes());
        drop(state);
        if is_sooner {
            self.flush_soon.notify_one();
        }
    }

    fn end_block(&self, state: &mut State, mark: &BlockMark) {
        let positions = state.positions;
        for (id, _) in std::mem::take(&mut state.due) {
            if let Some(cohort) = state.by_id.get(&id) {
                cohort.end_block(mark);
                self.count_frames(cohort.flush(positions));
            }
        }
    }

    /// Tells what has waited long enough; never ends.
    pub(crate) async fn flush_when_due(&self) {
        loop {
            let next = self.flush_due(Instant::now());
            let wait = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.flush_soon.notified() => {}
            }
        }
    }

    /// Returns when the next is due.
    fn flush_due(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        let positions = state.positions;
        let is_due = |due: &Instant| *due <= now;
        let ids: Vec<CohortId> =
            state.due.iter().filter(|(_, due)| is_due(due)).map(|(id, _)| *id).collect();
        for id in ids {
            state.due.remove(&id);
            if let Some(cohort) = state.by_id.get(&id) {
                self.count_frames(cohort.flush(positions));
            }
        }
        state.due.values().min().copied()
    }

    fn count_frames(&self, frames: usize) {
        self.metrics.frames_made.inc_by(frames as u64);
    }

    /// How far behind its end a stream is read.
    pub(crate) fn set_lag(&self, slot: Slot, messages: u64) {
        self.streams[slot.index()].lag.store(messages, Ordering::Relaxed);
    }

    pub(crate) fn lag(&self, slot: Slot) -> u64 {
        self.streams[slot.index()].lag.load(Ordering::Relaxed)
    }

    pub(crate) fn is_followed(&self, slot: Slot) -> bool {
        *self.streams[slot.index()].is_followed.borrow()
    }

    /// Waits until these streams are followed.
    pub(crate) async fn until_followed(&self, streams: SlotSet) {
        for slot in streams.iter() {
            let mut followed = self.streams[slot.index()].is_followed.subscribe();
            // The sender lives as long as the hub.
            let _ = followed.wait_for(|is_followed| *is_followed).await;
        }
    }
}

impl State {
    /// A new cohort.
    fn found(&mut self, key: &CohortKey) -> Arc<Cohort> {
        let id = self.next_cohort;
        self.next_cohort += 1;
        let filter = Arc::clone(&key.filter);
        let cohort = Arc::new(Cohort::new(id, filter, key.format, self.positions));
        self.index.add(id, &cohort.filter);
        self.by_id.insert(id, Arc::clone(&cohort));
        self.cohorts.insert(key.clone(), Arc::clone(&cohort));
        cohort
    }

    /// Gives an event to the cohorts that want it. Returns whether one of them is due sooner than before.
    fn hand_out(
        &mut self,
        event: &Arc<LiveEvent>,
        found: &mut Vec<CohortId>,
        now: Instant,
    ) -> bool {
        let mut is_sooner = false;
        self.index.find(event, found);
        let due = now + if event.is_in_block { BLOCK_INTERVAL } else { FRAME_INTERVAL };
        for id in found {
            let Some(cohort) = self.by_id.get(id) else { continue };
            if !cohort.filter.matches(event) {
                continue;
            }
            cohort.push(Arc::clone(event));
            let known = self.due.entry(*id).or_insert_with(|| {
                is_sooner = true;
                due
            });
            if due < *known {
                *known = due;
                is_sooner = true;
            }
        }
        is_sooner
    }

    fn take_head(&mut self, mark: &BlockMark) {
        if !mark.removed {
            self.heads.insert(mark.chain.clone(), mark.clone());
        }
    }

    fn listening_to(&self, slot: Slot) -> impl Iterator<Item = &Arc<Cohort>> {
        self.by_id.values().filter(move |cohort| cohort.streams.contains(slot))
    }
}
