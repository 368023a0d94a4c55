//! One subscription of one client: a place in a cohort, and what it is told before.

use std::{collections::VecDeque, sync::Arc};

use crypto_intel_nats::Position;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Message;

use super::{
    cohort::Taken,
    format::Recipient,
    frame::{Content, Frame, FrameType, MAX_FRAME_BYTES, Span, frames_of, one_frame},
    from_stream::{self, Part, Wanted},
    gap::{Gap, GapReason, gap_frame},
    hub::{Hub, Membership},
    live_event::{BlockMark, LiveEvent},
    message::client::Wish,
    position::{Positions, ResumeToken, Slot},
    ring::{Backlog, Place, Step},
    service::Service,
};

/// What a client is sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) events: usize,
    /// When the newest of them was stored, microseconds; 0 where that does not matter.
    pub(crate) stored_at_us: i64,
}

impl From<Message> for Outgoing {
    fn from(message: Message) -> Self {
        Self { message, events: 0, stored_at_us: 0 }
    }
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: Arc<str>,
    pub(crate) service: Service,
    pub(crate) membership: Membership,
    hub: Arc<Hub>,
    waker: Arc<Notify>,
    recipient: Recipient,
    /// Number of the next frame of the cohort.
    next: u64,
    /// What the client has, stream by stream.
    position: Positions,
    phase: Phase,
    /// Messages that come before anything else.
    first: VecDeque<Frame>,
    /// The last frame said that more follows.
    owes_end: bool,
}

/// What the cohort has for a client that is with it.
enum Live {
    Frame(Outgoing),
    Nothing,
    /// Frames were dropped that it did not read.
    Behind,
}

#[derive(Debug)]
enum Phase {
    /// Frames of the cohort.
    Live,
    /// First what is in memory, stream by stream.
    Memory { backlogs: VecDeque<(Slot, Backlog)>, covered: Positions },
    /// First what is in the stream only.
    Stream { slot: Slot, parts: mpsc::Receiver<Part> },
}

impl Subscription {
    /// Begins where the wish says. Its token is of another stream where `is_reset` says so.
    pub(crate) fn begin(
        hub: &Arc<Hub>,
        wish: &Wish,
        membership: Membership,
        recipient: Recipient,
        waker: &Arc<Notify>,
        is_reset: impl Fn(Slot) -> bool,
    ) -> Self {
        let plan = hub.plan(&membership.cohort, |_| None);
        let mut subscription = Self {
            id: Arc::clone(&wish.id),
            service: wish.service,
            membership,
            hub: Arc::clone(hub),
            waker: Arc::clone(waker),
            recipient,
            next: plan.next,
            position: plan.covered,
            phase: Phase::Live,
            first: VecDeque::new(),
            owes_end: false,
        };
        match &wish.resume {
            Some(token) => subscription.resume(token, is_reset),
            None if wish.snapshot > 0 => subscription.snapshot(wish.snapshot as usize),
            None => {}
        }
        subscription
    }

    /// What the client has: from there on it can go on.
    pub(crate) const fn position(&self) -> &Positions {
        &self.position
    }

    /// What the client may count as seen: with nothing left to tell, all that the hub saw.
    pub(crate) fn seen(&self, hub: &Positions) -> Positions {
        match self.phase {
            Phase::Live if self.first.is_empty() => {
                self.membership.cohort.seen(self.next, hub).unwrap_or(self.position)
            }
            _ => self.position,
        }
    }

    /// The newest that match come first, then what comes after them.
    fn snapshot(&mut self, most: usize) {
        let floors = self.hub.floors();
        let cohort = Arc::clone(&self.membership.cohort);
        let plan = self.hub.plan(&cohort, |slot| Some(floors.at(slot)));
        let mut events: Vec<Arc<LiveEvent>> = Vec::new();
        for stream in &plan.streams {
            events.extend(stream.backlog.newest_matching(&cohort.filter, most));
        }
        events.sort_by_key(|event| event.position.stored_at_us);
        let mut rest = events.split_off(events.len().saturating_sub(most));
        loop {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|event| {
                bytes += event.weight();
                bytes <= MAX_FRAME_BYTES
            });
            let behind = rest.split_off(fits.count().max(1).min(rest.len()));
            let more = !behind.is_empty();
            let content =
                Content { frame_type: FrameType::Snapshot, events: &rest, blocks: &[], more };
            self.first.push_back(one_frame(cohort.format, &content, plan.covered, cohort.streams));
            if !more {
                break;
            }
            rest = behind;
        }
        (self.next, self.position) = (plan.next, plan.covered);
    }

    /// Goes on where a token says, in the streams that it names.
    fn resume(&mut self, token: &ResumeToken, is_reset: impl Fn(Slot) -> bool) {
        for slot in self.membership.cohort.streams.iter() {
            match token.at(slot) {
                Some(_) if is_reset(slot) => {
                    self.skip(slot, None, GapReason::Reset, self.position.at(slot));
                }
                Some(position) => self.position.set(slot, position),
                None => {}
            }
        }
        self.catch_up(GapReason::Retention);
    }

    /// From the position to the cohort's frames. Where memory does not reach back, the stream is read for a client that comes
    /// back; one that reads too slowly is told of a gap.
    fn catch_up(&mut self, missing: GapReason) {
        let position = self.position;
        let plan = self.hub.plan(&self.membership.cohort, |slot| Some(position.at(slot)));
        self.next = plan.next;
        let mut backlogs = VecDeque::new();
        for stream in plan.streams {
            let slot = stream.slot;
            match stream.place {
                Place::Held => backlogs.push_back((slot, stream.backlog)),
                // Another process was ahead: what comes up to there is known, and repeated at most.
                Place::Ahead => {}
                Place::OfAnotherStream => {
                    self.skip(slot, None, GapReason::Reset, plan.covered.at(slot));
                }
                Place::Before if missing == GapReason::Slow => {
                    self.skip(slot, Some(position.at(slot)), missing, plan.covered.at(slot));
                }
                Place::Before => {
                    self.hub.metrics.resumed.with_label_values(&["stream"]).inc();
                    let wanted = Wanted {
                        slot,
                        after: position.at(slot),
                        up_to: stream.floor,
                        filter: Arc::clone(&self.membership.cohort.filter),
                    };
                    let parts =
                        from_stream::read(Arc::clone(&self.hub), wanted, Arc::clone(&self.waker));
                    self.phase = Phase::Stream { slot, parts };
                    return;
                }
            }
        }
        if missing == GapReason::Retention && !backlogs.is_empty() {
            self.hub.metrics.resumed.with_label_values(&["memory"]).inc();
        }
        self.phase = Phase::Memory { backlogs, covered: plan.covered };
    }

    /// Leaves out a part of a stream, and says so.
    fn skip(&mut self, slot: Slot, after: Option<Position>, reason: GapReason, reached: Position) {
        let gap = Gap {
            stream: slot.stream().name(),
            from: after.map(|after| after.sequence + 1),
            to: after.map(|_| reached.sequence),
            reason,
            get: after.and_then(|after| link(self.service, after, reached)),
        };
        self.tell(gap, slot, reached);
    }

    fn tell(&mut self, gap: Gap, slot: Slot, reached: Position) {
        self.position.set(slot, reached);
        self.hub.metrics.gaps.with_label_values(&[gap.reason.as_str()]).inc();
        let cohort = &self.membership.cohort;
        self.first.push_back(gap_frame(cohort.format, &gap, self.position, cohort.streams));
    }

    /// What is to be sent next; `None` while there is nothing.
    pub(crate) fn next_message(&mut self) -> Option<Outgoing> {
        loop {
            if let Some(frame) = self.first.pop_front() {
                return Some(self.outgoing(&frame));
            }
            match &mut self.phase {
                Phase::Live => match self.next_frame() {
                    Live::Frame(outgoing) => return Some(outgoing),
                    Live::Nothing => return None,
                    Live::Behind => {
                        self.hub.metrics.lagged.inc();
                        self.catch_up(GapReason::Slow);
                    }
                },
                Phase::Memory { .. } => {
                    if let Some(frame) = self.next_of_memory() {
                        return Some(self.outgoing(&frame));
                    }
                }
                Phase::Stream { .. } => {
                    if !self.take_of_stream() {
                        return None;
                    }
                }
            }
        }
    }

    fn outgoing(&self, frame: &Frame) -> Outgoing {
        Outgoing {
            message: frame.message_for(&self.recipient),
            events: frame.events,
            stored_at_us: frame.stored_at_us,
        }
    }

    fn next_frame(&mut self) -> Live {
        loop {
            match self.membership.cohort.take(self.next) {
                Taken::NotYet => return Live::Nothing,
                Taken::Gone => return Live::Behind,
                Taken::Frame(frame) => {
                    self.next += 1;
                    let streams = self.membership.cohort.streams;
                    // The client came from a process that was ahead of this one.
                    if frame.events > 0 && self.position.has_reached(&frame.to, streams) {
                        continue;
                    }
                    self.position = frame.to;
                    return Live::Frame(self.outgoing(&frame));
                }
            }
        }
    }

    /// One frame of what is in memory; `None` when there is nothing to tell of it.
    fn next_of_memory(&mut self) -> Option<Frame> {
        let cohort = Arc::clone(&self.membership.cohort);
        let Phase::Memory { backlogs, covered } = &mut self.phase else { return None };
        let mut taking = Taking::default();
        while taking.bytes < MAX_FRAME_BYTES
            && let Some((slot, backlog)) = backlogs.front_mut()
        {
            match backlog.next(&cohort.filter) {
                Some(Step::Event(event)) => {
                    self.position.set(*slot, event.position);
                    taking.take(event);
                }
                Some(Step::BlockEnd(marker)) => taking.end_block(&marker),
                None => {
                    self.position.set(*slot, covered.at(*slot));
                    backlogs.pop_front();
                }
            }
        }
        let more = !backlogs.is_empty();
        if !more {
            self.phase = Phase::Live;
        }
        let ends = std::mem::replace(&mut self.owes_end, more) && !more;
        if taking.events.is_empty() && !ends {
            return None;
        }
        let Taking { events, blocks, .. } = &taking;
        let content = Content { frame_type: FrameType::Events, events, blocks, more };
        Some(one_frame(cohort.format, &content, self.position, cohort.streams))
    }

    /// Takes what was read from the stream, to be told first; `false` while there is nothing yet.
    fn take_of_stream(&mut self) -> bool {
        let Phase::Stream { slot, parts } = &mut self.phase else { return true };
        let slot = *slot;
        match parts.try_recv() {
            Err(mpsc::error::TryRecvError::Empty) => return false,
            Err(mpsc::error::TryRecvError::Disconnected) => self.catch_up(GapReason::Retention),
            Ok(Part::Events(events, reached)) => {
                let from = self.position;
                self.position.set(slot, reached);
                if !events.is_empty() {
                    let cohort = &self.membership.cohort;
                    let span = Span { from, to: self.position, streams: cohort.streams };
                    self.first.extend(frames_of(cohort.format, &events, &[], span, true));
                    self.owes_end = true;
                }
            }
            Ok(Part::Gap { from, to, reason, reached }) => {
                let stream = slot.stream().name();
                let before =
                    from.map(|from| Position { sequence: from - 1, ..self.position.at(slot) });
                let get = before.and_then(|before| link(self.service, before, reached));
                self.tell(Gap { stream, from, to, reason, get }, slot, reached);
            }
        }
        true
    }
}

/// Events for one frame, and the blocks that are whole with them.
#[derive(Default)]
struct Taking {
    events: Vec<Arc<LiveEvent>>,
    blocks: Vec<BlockMark>,
    bytes: usize,
    /// Events of blocks that are whole.
    whole: usize,
}

impl Taking {
    fn take(&mut self, event: Arc<LiveEvent>) {
        self.bytes += event.weight();
        self.events.push(event);
    }

    fn end_block(&mut self, marker: &LiveEvent) {
        let Some(mark) = &marker.mark else { return };
        let is_of_chain = |event: &Arc<LiveEvent>| {
            event.is_in_block && event.chain.as_deref() == Some(mark.chain.as_str())
        };
        if self.events[self.whole..].iter().any(is_of_chain) {
            self.blocks.push(mark.clone());
        }
        self.whole = self.events.len();
    }
}

/// Where the API has what happened between two places, by their times.
fn link(service: Service, after: Position, reached: Position) -> Option<String> {
    let path = match service {
        Service::Onchain | Service::WhaleTracking | Service::All => "transactions",
        Service::Explorers => "blocks",
        Service::Alerts => "alerts",
        _ => return None,
    };
    if after.stored_at_us == 0 {
        return None;
    }
    let since = after.stored_at_us / 1_000_000;
    let until = match reached.stored_at_us {
        0 => String::new(),
        until => format!("&until={}", until / 1_000_000 + 1),
    };
    Some(format!("/api/v1/{path}?since={since}{until}"))
}
