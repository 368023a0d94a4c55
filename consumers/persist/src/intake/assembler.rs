use std::{
    collections::{HashSet, VecDeque},
    time::{Duration, Instant},
};

use crypto_intel_nats::StreamMessage;
use crypto_intel_schemas::Event;

/// A message with its event, or why it cannot be decoded.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) message: StreamMessage,
    /// Boxed: an event is several hundred bytes and is moved several times.
    pub(crate) event: Result<Box<Event>, String>,
}

/// A block larger than a batch is cut after this many times the batch limit,
const MAX_HELD_BATCHES: usize = 6;
/// or after this many events, if that is more: small batches are no reason to cut blocks,
const MIN_OVERFULL_EVENTS: usize = 30_000;
/// or after this many bytes of bodies.
const MAX_HELD_BYTES: usize = 64 << 20;

/// Holds messages and knows where they may be cut into batches: where no chain is in the middle of a block, or of a reorg
/// before its first new block.
#[derive(Debug)]
pub(crate) struct Assembler {
    max_events: usize,
    patience: Duration,
    held: VecDeque<Item>,
    bytes: usize,
    /// How many items were taken so far. Cuts are counted from the very first item.
    taken: usize,
    /// Ends of the prefixes that may be taken, ascending.
    cuts: VecDeque<usize>,
    /// Chains in the middle of a block or a reorg.
    open: HashSet<String>,
    since: Option<Instant>,
}

impl Assembler {
    pub(crate) fn new(max_events: usize, patience: Duration) -> Self {
        Self {
            max_events: max_events.max(1),
            patience,
            held: VecDeque::new(),
            bytes: 0,
            taken: 0,
            cuts: VecDeque::new(),
            open: HashSet::new(),
            since: None,
        }
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.since.get_or_insert_with(Instant::now);
        if let Ok(event) = &item.event {
            self.follow(event);
        }
        self.bytes += item.message.payload.len();
        // The position moves by whole messages, and a message may hold many events.
        let ends_message = item.message.remaining == 0;
        self.held.push_back(item);
        if ends_message && self.open.is_empty() {
            self.cuts.push_back(self.taken + self.held.len());
        }
    }

    fn follow(&mut self, event: &Event) {
        let Some(block) = event.block_fields() else { return };
        if matches!(event, Event::Block(_)) && !block.removed {
            self.open.remove(block.chain);
        } else if !self.open.contains(block.chain) {
            self.open.insert(block.chain.to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether some prefix may be taken.
    pub(crate) fn can_be_cut(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Whether a full batch is held.
    pub(crate) fn is_full(&self) -> bool {
        self.held.len() >= self.max_events || self.bytes >= MAX_HELD_BYTES
    }

    /// Whether no more may be held.
    pub(crate) fn is_overfull(&self) -> bool {
        let limit = (self.max_events * MAX_HELD_BATCHES).max(MIN_OVERFULL_EVENTS);
        self.held.len() >= limit || self.bytes >= MAX_HELD_BYTES
    }

    /// When the held messages must be taken although they cannot be cut; `None` while they can, or when none is held.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        (!self.can_be_cut()).then(|| since + self.patience)
    }

    /// Whether [`take`](Self::take) would return anything.
    pub(crate) fn is_ready(&self) -> bool {
        self.can_be_cut()
            || self.is_overfull()
            || self.deadline().is_some_and(|deadline| deadline <= Instant::now())
    }

    /// The next batch: as many whole blocks as the limit allows, at least one. Messages that cannot be cut are all taken when
    /// they are overdue or too many.
    pub(crate) fn take(&mut self) -> Vec<Item> {
        let limit = self.taken + self.max_events;
        let within = self.cuts.partition_point(|cut| *cut <= limit);
        let cut = match within {
            0 => self.cuts.front().copied(),
            _ => self.cuts.get(within - 1).copied(),
        };
        match cut {
            Some(cut) => self.take_until(cut),
            None if self.is_ready() => self.take_all(),
            None => Vec::new(),
        }
    }

    /// Everything, wherever it ends.
    pub(crate) fn take_all(&mut self) -> Vec<Item> {
        // A chain that goes silent in the middle of a block must not hold back the others again and again.
        self.open.clear();
        self.take_until(self.taken + self.held.len())
    }

    fn take_until(&mut self, cut: usize) -> Vec<Item> {
        let batch: Vec<Item> = self.held.drain(..cut - self.taken).collect();
        self.taken = cut;
        self.bytes -= batch.iter().map(|item| item.message.payload.len()).sum::<usize>();
        while self.cuts.front().is_some_and(|known| *known <= cut) {
            self.cuts.pop_front();
        }
        self.since = (!self.held.is_empty()).then(Instant::now);
        batch
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use crypto_intel_schemas::{Block, Erc20Transfer, Price};

    use super::*;

    fn item(event: Event) -> Item {
        let message = StreamMessage {
            subject: String::new(),
            schema: None,
            headers: None,
            payload: Bytes::new(),
            sequence: 0,
            stored_at_us: 0,
            remaining: 0,
        };
        Item { message, event: Ok(Box::new(event)) }
    }

    fn transfer(chain: &str) -> Item {
        item(Event::from(Erc20Transfer { chain: chain.into(), ..Erc20Transfer::empty() }))
    }

    fn marker(chain: &str, removed: bool) -> Item {
        item(Event::from(Block { chain: chain.into(), removed, ..Block::empty() }))
    }

    fn assembler(max_events: usize, items: Vec<Item>) -> Assembler {
        let mut assembler = Assembler::new(max_events, Duration::from_secs(3600));
        items.into_iter().for_each(|item| assembler.push(item));
        assembler
    }

    #[test]
    fn cuts_behind_the_last_whole_block_within_the_limit() {
        let block = || vec![transfer("a"), marker("a", false)];
        let items = [block(), block(), block(), vec![transfer("a")]].into_iter().flatten();
        let mut assembler = assembler(5, items.collect());
        assert_eq!(assembler.take().len(), 4);
        assert_eq!(assembler.take().len(), 2);
        assert!(!assembler.is_ready(), "the rest is half a block");
        assert_eq!((assembler.take().len(), assembler.held.len()), (0, 1));
    }

    #[test]
    fn a_block_above_the_limit_stays_whole() {
        let items = vec![transfer("a"), transfer("a"), transfer("a"), marker("a", false)];
        assert_eq!(assembler(2, items).take().len(), 4);
    }

    #[test]
    fn a_reorg_is_held_up_to_its_first_new_block() {
        let mut assembler = assembler(
            100,
            vec![marker("a", false), transfer("a"), marker("a", true), transfer("a")],
        );
        assert_eq!(assembler.take().len(), 1);
        assert!(!assembler.is_ready());
        assembler.push(marker("a", false));
        assert_eq!(assembler.take().len(), 4);
    }

    #[test]
    fn a_chain_in_mid_block_holds_back_the_others_only_for_a_while() {
        let mut assembler = Assembler::new(100, Duration::ZERO);
        assembler.push(transfer("a"));
        assembler.push(marker("b", false));
        assert!(assembler.is_ready());
        assert_eq!(assembler.take().len(), 2);
        assembler.push(marker("b", false));
        assert_eq!(assembler.deadline(), None, "a is silent, b continues by itself");
    }

    #[test]
    fn events_of_no_chain_can_be_cut_anywhere() {
        let price = || item(Event::from(Price::at("p", 0, 0)));
        let mut assembler = assembler(2, vec![price(), price(), price()]);
        assert_eq!(assembler.take().len(), 2);
        assert_eq!(assembler.take().len(), 1);
    }
}
