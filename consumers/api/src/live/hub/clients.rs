//! The side of clients: joining, leaving, and what they have not seen.

use std::sync::{Arc, atomic::Ordering};

use crypto_intel_nats::Position;
use tokio::sync::Notify;

use super::{
    super::{
        cohort::{Cohort, MemberId},
        filter::Filter,
        format::Format,
        live_event::BlockMark,
        position::{Positions, Slot},
        ring::{Backlog, Place},
    },
    CohortKey, Hub, State,
};

/// A client's place in a cohort, which it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    hub: Arc<Hub>,
    pub(crate) cohort: Arc<Cohort>,
    member: MemberId,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.leave(&self.cohort, self.member);
    }
}

/// What a client needs to go on from where it was.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Number of the first frame that it gets.
    pub(crate) next: u64,
    /// What comes before that frame.
    pub(crate) covered: Positions,
    /// What it has to be told before, by stream.
    pub(crate) streams: Vec<StreamPlan>,
}

/// Of one stream.
#[derive(Debug)]
pub(crate) struct StreamPlan {
    pub(crate) slot: Slot,
    pub(crate) place: Place,
    /// Everything after this is in memory.
    pub(crate) floor: Position,
    /// What is in memory of what it has not seen.
    pub(crate) backlog: Backlog,
}

impl Hub {
    /// Puts a client into the cohort of its filter; `None` when filters name too many addresses already.
    pub(crate) fn join(
        self: &Arc<Self>,
        filter: Filter,
        format: Format,
        waker: Arc<Notify>,
    ) -> Option<Membership> {
        let member = self.members.fetch_add(1, Ordering::Relaxed);
        let key = CohortKey { filter: Arc::new(filter), format };
        let mut state = self.state.lock();
        let cohort = match state.cohorts.get(&key) {
            Some(cohort) => Arc::clone(cohort),
            None => {
                let named = key.filter.addresses.len();
                if self.addresses.load(Ordering::Relaxed) + named > self.limits.addresses {
                    return None;
                }
                self.addresses.fetch_add(named, Ordering::Relaxed);
                let cohort = state.found(&key);
                self.note_cohorts(&state);
                cohort
            }
        };
        cohort.add_member(member, waker);
        drop(state);
        self.metrics.subscriptions.inc();
        Some(Membership { hub: Arc::clone(self), cohort, member })
    }

    fn leave(&self, cohort: &Arc<Cohort>, member: MemberId) {
        let mut state = self.state.lock();
        if cohort.remove_member(member) {
            let key = CohortKey { filter: Arc::clone(&cohort.filter), format: cohort.format };
            state.cohorts.remove(&key);
            state.by_id.remove(&cohort.id);
            state.due.remove(&cohort.id);
            state.index.remove(cohort.id, &cohort.filter);
            self.addresses.fetch_sub(cohort.filter.addresses.len(), Ordering::Relaxed);
            self.note_cohorts(&state);
        }
        drop(state);
        self.metrics.subscriptions.dec();
    }

    fn note_cohorts(&self, state: &State) {
        self.metrics.cohorts.set(state.by_id.len() as i64);
        let json = state.index.wanted_kinds();
        self.json_kinds.store(json.bits(), Ordering::Relaxed);
    }

    /// What a client of a cohort is to be told that stands at `after`; streams without a place there begin now.
    pub(crate) fn plan(&self, cohort: &Cohort, after: impl Fn(Slot) -> Option<Position>) -> Plan {
        let state = self.state.lock();
        let place = cohort.place();
        let plan_of = |slot: Slot| {
            let after = after(slot)?;
            let ring = &state.rings[slot.index()];
            Some(StreamPlan {
                slot,
                place: ring.place_of(after),
                floor: ring.floor(),
                backlog: ring.after(after, place.covered.at(slot)),
            })
        };
        let streams = cohort.streams.iter().filter_map(plan_of).collect();
        Plan { next: place.next, covered: place.covered, streams }
    }

    /// Whether a client's place is beyond the end of a stream, which then was recreated. That one process reads a stream faster
    /// than another is no such thing: the stream itself is asked.
    pub(crate) async fn is_beyond(&self, slot: Slot, place: Position) -> bool {
        if self.state.lock().rings[slot.index()].place_of(place) != Place::Ahead {
            return false;
        }
        let state = self.nats.stream_state(slot.stream().name()).await;
        state.is_ok_and(|state| state.last_sequence < place.sequence)
    }

    /// How far the streams were read.
    pub(crate) fn positions(&self) -> Positions {
        self.state.lock().positions
    }

    /// Where each stream's memory begins.
    pub(crate) fn floors(&self) -> Positions {
        let state = self.state.lock();
        let mut floors = Positions::default();
        Slot::all().for_each(|slot| floors.set(slot, state.rings[slot.index()].floor()));
        floors
    }

    /// The newest block of each chain, by name.
    pub(crate) fn heads(&self) -> Vec<BlockMark> {
        let mut heads: Vec<BlockMark> = self.state.lock().heads.values().cloned().collect();
        heads.sort_by(|one, other| one.chain.cmp(&other.chain));
        heads
    }
}
