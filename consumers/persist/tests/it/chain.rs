use std::collections::{BTreeMap, BTreeSet};

use crypto_intel_nats::{Batch, Nats, OutMessage};
use crypto_intel_schemas::{
    Address, Approval, B256, Block, CHUNK_SCHEMA, ChunkWriter, Erc20Transfer, Erc1155Transfer,
    Event, Kind, Log, NativeTransfer, U256, Uint256, subjects,
};
use crypto_intel_service::now_us;

/// Block hash and log index of an ERC-20 transfer, by which the tables are compared.
pub(crate) type Key = (B256, i32);

/// A chain as its leader publishes it, and what the tables must hold after it.
#[derive(Clone)]
pub(crate) struct Chain {
    slug: String,
    lane: subjects::Lane,
    /// Canonical blocks with their events, oldest first.
    blocks: Vec<Vec<Event>>,
    incarnations: BTreeMap<B256, u32>,
    hashes: u64,
    pub(crate) dropped: Vec<B256>,
    /// Labels that the ERC-20 transfers of new blocks carry.
    pub(crate) watched: Vec<String>,
}

impl Chain {
    pub(crate) fn new(slug: &str) -> Self {
        Self {
            slug: slug.to_owned(),
            lane: subjects::Lane::Live,
            blocks: Vec::new(),
            incarnations: BTreeMap::new(),
            hashes: 0,
            dropped: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// The same chain up to here, which continues with other blocks.
    pub(crate) fn fork(&self) -> Self {
        let mut fork = self.clone();
        fork.grow(1);
        fork.shrink();
        fork.dropped.clear();
        fork
    }

    /// The same chain in the history lane.
    pub(crate) fn in_history(&self) -> Self {
        Self { lane: subjects::Lane::History, ..self.clone() }
    }

    pub(crate) fn height(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Adds a block with this many ERC-20 transfers and one event of each other kind; returns its messages.
    pub(crate) fn grow(&mut self, transfers: u32) -> Vec<Event> {
        let number = self.height() + 1;
        self.hashes += 1;
        let hash = fresh_hash(&self.slug, self.hashes);
        let mut events = events(&self.slug, number, hash, transfers);
        for event in &mut events {
            if let Event::Erc20Transfer(body) = event {
                body.watched.clone_from(&self.watched);
            }
        }
        let rows = events.len() as u32;
        events.push(Event::from(Block {
            id: format!("{}:{hash}:block", self.slug),
            chain: self.slug.clone(),
            chain_id: 7,
            block_number: number,
            block_hash: hash,
            block_time_us: time(number),
            observed_at_us: now_us(),
            parent_hash: self.tip().map_or(B256::ZERO, |marker| marker.block_hash),
            rows,
            messages: rows,
            ..Block::empty()
        }));
        self.incarnations.insert(hash, 1);
        self.blocks.push(events.clone());
        events
    }

    /// Removes the newest block; returns its messages again, with `removed`.
    pub(crate) fn shrink(&mut self) -> Vec<Event> {
        let mut events = self.blocks.pop().expect("a block");
        let hash = events[0].block_fields().unwrap().block_hash;
        self.dropped.push(hash);
        let incarnation = self.incarnations.get_mut(&hash).unwrap();
        *incarnation += 1;
        events.iter_mut().for_each(|event| event.set_incarnation(*incarnation, now_us()));
        events
    }

    /// A reorg of this depth: retractions newest first, then that many new blocks and one more.
    pub(crate) fn reorganise(&mut self, depth: usize, transfers: u32) -> Vec<Vec<Event>> {
        let mut batches: Vec<Vec<Event>> = (0..depth).map(|_| self.shrink()).collect();
        batches.extend((0..=depth).map(|_| self.grow(transfers)));
        batches
    }

    pub(crate) fn tip(&self) -> Option<&Block> {
        self.blocks.last().and_then(|events| match events.last() {
            Some(Event::Block(marker)) => Some(marker),
            _ => None,
        })
    }

    pub(crate) fn hashes(&self) -> BTreeSet<B256> {
        self.blocks.iter().map(|events| events[0].block_fields().unwrap().block_hash).collect()
    }

    /// The transfers that the tables must hold, and no others.
    pub(crate) fn transfers(&self) -> Vec<Key> {
        self.blocks
            .iter()
            .flatten()
            .filter(|event| event.kind() == Kind::Erc20Transfer)
            .map(|event| {
                let log = event.log_fields().unwrap();
                (event.block_fields().unwrap().block_hash, log.log_index.cast_signed())
            })
            .collect()
    }

    /// The events of the canonical blocks, oldest first, each block's marker last.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.blocks.iter().flatten()
    }

    /// Publishes messages as one atomic batch.
    pub(crate) async fn publish(&self, nats: &Nats, events: &[Event]) {
        let messages = events.iter().map(|event| self.message(event)).collect();
        nats.publish_batch(Batch { messages, fence: None }).await.unwrap();
    }

    /// Publishes events on the history lane as chunks of this many, wherever that cuts a block.
    pub(crate) async fn publish_chunks(&self, nats: &Nats, events: &[Event], size: usize) {
        for some in events.chunks(size) {
            let bodies: Vec<_> =
                some.iter().map(|event| (event.kind().as_str(), event.encode())).collect();
            self.publish_chunk(nats, &bodies).await;
        }
    }

    /// Publishes bodies under the ends of their subjects as one chunk of the history lane.
    pub(crate) async fn publish_chunk(&self, nats: &Nats, bodies: &[(&str, Vec<u8>)]) {
        let mut writer = ChunkWriter::default();
        bodies.iter().for_each(|(tail, body)| writer.push(tail, body));
        let subject = subjects::history_chunk(&self.slug);
        let message = OutMessage::new(subject, writer.finish().unwrap()).schema(CHUNK_SCHEMA);
        nats.publish(message).await.unwrap();
    }

    pub(crate) fn message(&self, event: &Event) -> OutMessage {
        let subject = subjects::chain(self.lane, &self.slug, event.kind());
        OutMessage::new(subject, event.encode()).schema(event.kind().schema())
    }

    /// Grows by this many blocks and publishes each.
    pub(crate) async fn play(&mut self, nats: &Nats, blocks: usize, transfers: u32) {
        for _ in 0..blocks {
            let events = self.grow(transfers);
            self.publish(nats, &events).await;
        }
    }
}

pub(crate) fn time(number: u64) -> i64 {
    1_700_000_000_000_000 + number.cast_signed() * 2_000_000
}

fn fresh_hash(slug: &str, number: u64) -> B256 {
    alloy_primitives::keccak256(format!("{slug} {number}"))
}

fn events(slug: &str, number: u64, hash: B256, transfers: u32) -> Vec<Event> {
    let mut events = Vec::new();
    for index in 0..transfers {
        events.push(Event::from(Erc20Transfer {
            id: format!("{slug}:{hash}:transfer.erc20:{index}"),
            chain: slug.into(),
            chain_id: 7,
            block_number: number,
            block_hash: hash,
            block_time_us: time(number),
            observed_at_us: now_us(),
            tx_hash: hash,
            log_index: index,
            address: Address::repeat_byte(1),
            from: Address::repeat_byte(2),
            to: Address::repeat_byte(3),
            value: Uint256(U256::from(index) << 100),
            symbol: Some("TEST".into()),
            ..Erc20Transfer::empty()
        }));
    }
    macro_rules! one {
        ($kind:ident { $($field:ident: $value:expr),* $(,)? }) => {
            events.push(Event::from($kind {
                chain: slug.into(),
                chain_id: 7,
                block_number: number,
                block_hash: hash,
                block_time_us: time(number),
                observed_at_us: now_us(),
                $($field: $value,)*
                ..$kind::empty()
            }));
        };
    }
    one!(NativeTransfer { value: Uint256::from(7) });
    one!(Erc1155Transfer { log_index: transfers, sub_index: Some(1) });
    one!(Approval { log_index: transfers + 1 });
    one!(Log { log_index: transfers + 2, topics: vec![hash] });
    events
}
