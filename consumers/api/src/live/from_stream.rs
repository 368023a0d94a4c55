//! What is not in memory any more, read from its stream for one client: bounded, and a few at once in the process.

use std::{sync::Arc, time::Duration};

use crypto_intel_nats::{Notice, Position, RangeOptions, RangeReader};
use crypto_intel_schemas::{
    Kind, Stream,
    patterns::without_overlap,
    subjects::{self, Lane},
};
use tokio::sync::{Notify, mpsc};

use super::{filter::Filter, gap::GapReason, hub::Hub, live_event::LiveEvent, position::Slot};

/// Messages that one client may have read for it in one go.
const MAX_MESSAGES: usize = 100_000;
/// How long that may take, with what it takes the client to read it.
const MAX_TIME: Duration = Duration::from_secs(60);
/// Messages read at once.
const PART_MESSAGES: usize = 500;
/// Parts that wait for the client.
const MAX_PARTS: usize = 2;
/// More filters than this cost the server more than reading everything.
const MAX_FILTERS: usize = 6;

/// What a reader found.
#[derive(Debug)]
pub(crate) enum Part {
    /// Events in order, and where the client stands after them.
    Events(Vec<Arc<LiveEvent>>, Position),
    /// Sequences that the client does not get, and where it goes on.
    Gap { from: Option<u64>, to: Option<u64>, reason: GapReason, reached: Position },
}

/// Which part of a stream is wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) slot: Slot,
    pub(crate) after: Position,
    /// What comes after this is in memory.
    pub(crate) up_to: Position,
    pub(crate) filter: Arc<Filter>,
}

/// Reads in a task of its own; the receiver is told by `waker` that there is something. It ends with the last part.
pub(crate) fn read(hub: Arc<Hub>, wanted: Wanted, waker: Arc<Notify>) -> mpsc::Receiver<Part> {
    let (sender, receiver) = mpsc::channel(MAX_PARTS);
    tokio::spawn(async move {
        let reading = Reading { hub: &hub, wanted: &wanted, sender: &sender, waker: &waker };
        let reached = match tokio::time::timeout(MAX_TIME, reading.run()).await {
            Ok(reached) => reached,
            Err(_) => wanted.after,
        };
        // Where it did not get to the end, the client is told what it does not get.
        if reached.sequence < wanted.up_to.sequence {
            let gap = Part::Gap {
                from: Some(reached.sequence + 1),
                to: Some(wanted.up_to.sequence),
                reason: GapReason::Retention,
                reached: wanted.up_to,
            };
            let _ = sender.send(gap).await;
        }
        drop(sender);
        waker.notify_one();
    });
    receiver
}

struct Reading<'a> {
    hub: &'a Arc<Hub>,
    wanted: &'a Wanted,
    sender: &'a mpsc::Sender<Part>,
    waker: &'a Notify,
}

impl Reading<'_> {
    /// Returns how far it got.
    async fn run(&self) -> Position {
        let Ok(_permit) = self.hub.range_readers.acquire().await else { return self.wanted.after };
        match self.read_all().await {
            Ok(reached) => reached,
            Err(error) => {
                tracing::warn!(stream = %self.wanted.slot.stream(), error = %format!("{error:#}"), "cannot read what a client missed, it is told of a gap");
                self.wanted.after
            }
        }
    }

    async fn read_all(&self) -> anyhow::Result<Position> {
        let Wanted { slot, after, up_to, filter } = self.wanted;
        let options = RangeOptions {
            stream: slot.stream().name().to_owned(),
            filters: subjects_of(filter, *slot),
            name: format!("api-{}-resume", self.hub.instance),
            after: *after,
            to: up_to.sequence,
            rate: None,
        };
        let mut reader = RangeReader::open(&self.hub.nats, options).await?;
        let mut read = 0;
        let mut reached = *after;
        while let Some(batch) = reader.next(PART_MESSAGES).await? {
            for notice in &batch.notices {
                let (gap, ends) = gap_of(*notice, *up_to);
                if let Part::Gap { reached: place, .. } = &gap {
                    reached = *place;
                }
                if !self.send(gap).await || ends {
                    return Ok(*up_to);
                }
            }
            read += batch.messages.len();
            let position = batch.messages.last().map(|message| message.position());
            let decoded = batch.messages.iter().filter_map(|message| {
                LiveEvent::read(*slot, message, |_| false)
                    .ok()
                    .filter(|event| filter.matches(event))
            });
            let events: Vec<Arc<LiveEvent>> = decoded.map(Arc::new).collect();
            if let Some(position) = position {
                reached = position;
                if !self.send(Part::Events(events, position)).await {
                    return Ok(*up_to);
                }
            }
            if read >= MAX_MESSAGES {
                return Ok(reached);
            }
        }
        Ok(*up_to)
    }

    /// Returns whether the client is still there.
    async fn send(&self, part: Part) -> bool {
        let is_sent = self.sender.send(part).await.is_ok();
        self.waker.notify_one();
        is_sent
    }
}

/// What a notice is for a client, and whether nothing more can be read.
fn gap_of(notice: Notice, up_to: Position) -> (Part, bool) {
    match notice {
        Notice::LostRange { from, to } => {
            let reached = Position { sequence: to.min(up_to.sequence), stored_at_us: 0 };
            let reason = GapReason::Retention;
            let ends = to >= up_to.sequence;
            (Part::Gap { from: Some(from), to: Some(reached.sequence), reason, reached }, ends)
        }
        Notice::StreamReset { .. } => {
            let reason = GapReason::Reset;
            (Part::Gap { from: None, to: None, reason, reached: up_to }, true)
        }
    }
}

/// The subjects of what a filter wants of a stream: few, or all.
fn subjects_of(filter: &Filter, slot: Slot) -> Vec<String> {
    let is_of_stream =
        |kind: &Kind| kind.streams().iter().any(|(stream, _)| *stream == slot.stream());
    let mut patterns = Vec::new();
    for kind in filter.kinds.iter().filter(is_of_stream) {
        let has_chain = slot.stream() == Stream::Evm && kind != Kind::Balance;
        if has_chain && !filter.chains.is_empty() {
            let of = |chain: &String| subjects::chain_filter(Lane::Live, chain, kind);
            patterns.extend(filter.chains.iter().map(of));
        } else {
            patterns.extend(kind.patterns());
        }
    }
    match without_overlap(patterns) {
        Some(few) if few.len() <= MAX_FILTERS => few,
        _ => slot.filters().into_iter().map(ToOwned::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::filter::tests::of, *};

    #[test]
    fn the_server_is_asked_for_few_subjects() {
        let evm = Slot::of(Stream::Evm).unwrap();
        let signals = Slot::of(Stream::Signals).unwrap();
        let transfers = of(&[Kind::Erc20Transfer, Kind::Whale]);
        assert_eq!(subjects_of(&transfers, evm), ["evm.*.transfer.erc20"]);
        assert_eq!(subjects_of(&transfers, signals), ["whale.*"]);
        let of_base = Filter { chains: vec!["base".to_owned()], ..transfers };
        assert_eq!(subjects_of(&of_base, evm), ["evm.base.transfer.erc20"]);
        let all = of(Kind::ALL);
        assert_eq!(subjects_of(&all, evm), ["evm.>", "balance.>"]);
    }
}
