//! A chain's events, as its producer publishes them.

use crypto_intel_nats::{Batch, Nats, NatsConfig, OutMessage, connect};
use crypto_intel_schemas::{
    Address, B256, Block, Decimal, Erc20Transfer, Event, Kind, Swap, chain_event_id, log_event_id,
    subjects,
};
use crypto_intel_service::now_us;
use crypto_intel_testkit::{Broker, nats_config};
use tokio_util::sync::CancellationToken;

/// Id and incarnation: what makes an event one.
pub(crate) type Identity = (String, u64);

/// One block of a chain.
#[derive(Debug, Clone)]
pub(crate) struct TestBlock {
    pub(crate) chain: &'static str,
    pub(crate) number: u64,
    /// Another one at the same height.
    pub(crate) branch: u8,
    pub(crate) events: u32,
}

impl TestBlock {
    pub(crate) fn new(chain: &'static str, number: u64, events: u32) -> Self {
        Self { chain, number, branch: 0, events }
    }

    fn hash(&self) -> B256 {
        let mut hash = B256::with_last_byte(self.branch);
        hash[..8].copy_from_slice(&self.number.to_be_bytes());
        hash
    }

    /// The address of which every tenth event is.
    pub(crate) fn party(of: u32) -> Address {
        let mut bytes = [0x11; 20];
        bytes[16..].copy_from_slice(&(of % 10).to_be_bytes());
        bytes.into()
    }

    /// Its events with their marker, under an incarnation.
    pub(crate) fn under(&self, incarnation: u32) -> Vec<Event> {
        let now = now_us();
        let hash = self.hash();
        let mut events: Vec<Event> =
            (0..self.events).map(|index| self.event(hash, index, now)).collect();
        events.push(Event::from(Block {
            id: chain_event_id(self.chain, &hash, Kind::Block),
            chain: self.chain.to_owned(),
            chain_id: 1,
            block_number: self.number,
            block_hash: hash,
            block_time_us: now,
            event_at_us: now,
            observed_at_us: now,
            rows: self.events,
            messages: self.events,
            ..Block::empty()
        }));
        events.iter_mut().for_each(|event| event.set_incarnation(incarnation, now));
        events
    }

    fn event(&self, hash: B256, index: u32, now: i64) -> Event {
        // One in five is a swap.
        if index % 5 == 4 {
            return Event::from(Swap {
                id: log_event_id(self.chain, &hash, Kind::Swap, index, None),
                chain: self.chain.to_owned(),
                chain_id: 1,
                block_number: self.number,
                block_hash: hash,
                block_time_us: now,
                event_at_us: now,
                observed_at_us: now,
                log_index: index,
                sender: Self::party(index),
                ..Swap::empty()
            });
        }
        Event::from(Erc20Transfer {
            id: log_event_id(self.chain, &hash, Kind::Erc20Transfer, index, None),
            chain: self.chain.to_owned(),
            chain_id: 1,
            block_number: self.number,
            block_hash: hash,
            block_time_us: now,
            event_at_us: now,
            observed_at_us: now,
            log_index: index,
            from: Self::party(index),
            to: Address::repeat_byte(0x22),
            usd: Some(Decimal::parse(&(u64::from(index) * 100_000).to_string()).unwrap()),
            symbol: Some("USDC".to_owned()),
            ..Erc20Transfer::empty()
        })
    }
}

pub(crate) fn identity(event: &Event) -> Identity {
    let incarnation = event.block_fields().map_or(0, |block| block.incarnation);
    (event.id().to_owned(), incarnation.into())
}

/// Blocks of a chain in which every seventh is dropped for another: all events in the order of their publication.
pub(crate) fn history(
    chain: &'static str,
    first: u64,
    blocks: u64,
    events: u32,
) -> Vec<Vec<Event>> {
    let mut batches = Vec::new();
    for number in first..first + blocks {
        let block = TestBlock::new(chain, number, events);
        batches.push(block.under(1));
        if number % 7 == 0 {
            batches.push(block.under(2));
            batches.push(TestBlock { branch: 1, ..block }.under(1));
        }
    }
    batches
}

/// What of these a filter should let through.
pub(crate) fn expected<'a>(
    batches: impl IntoIterator<Item = &'a Vec<Event>>,
    keep: impl Fn(&Event) -> bool,
) -> Vec<Identity> {
    batches.into_iter().flatten().filter(|event| keep(event)).map(identity).collect()
}

/// Publishes each batch as one, however slow the machine is.
pub(crate) async fn publish(broker: &Broker, batches: &[Vec<Event>]) {
    let patient = NatsConfig { request_timeout_ms: 60_000, ..nats_config(broker.server.url()) };
    let nats = connect(&patient, "producer", &CancellationToken::new()).await.unwrap();
    for events in batches {
        let message = |event: &Event| OutMessage::new(subjects::of(event), event.encode());
        let messages = events.iter().map(message).collect();
        nats.publish_batch(Batch { messages, fence: None }).await.unwrap();
    }
}

/// The end of a stream.
pub(crate) async fn last_sequence(nats: &Nats, stream: &str) -> u64 {
    nats.stream_state(stream).await.unwrap().last_sequence
}
