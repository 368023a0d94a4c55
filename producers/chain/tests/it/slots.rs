//! A scripted chain of slots.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use alloy_primitives::keccak256;
use crypto_intel_chain::{
    bodies::{BodiesWriter, Prepared},
    header::{BlockId, Header, Span},
    heads::{Finality, Head},
    past::{Activity, Look, Touching},
    source::ChainSource,
    unavailable::Unavailable,
};
use crypto_intel_schemas::{
    B256, Block, BlockRef, Covers, Event, Kind, Log, chain_event_id, log_event_id,
};
use crypto_intel_service::now_us;
use tokio::sync::watch;

/// The chain's slug.
pub(crate) const CHAIN: &str = "slots";
/// A watched address: 32 bytes in base58.
pub(crate) const WATCHED: &str = "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM";
const GENESIS_SLOT: u64 = 99;

/// What the nodes of the chain know.
#[derive(Debug, Default)]
struct World {
    blocks: BTreeMap<u64, Header>,
    finalized: Option<BlockRef>,
    /// Its nodes report different blocks of one height as final.
    is_disputed: bool,
    made: u64,
    /// Slots whose block a node denies once.
    denied: BTreeSet<u64>,
}

/// The chain, and the notification of new heads.
#[derive(Debug)]
pub(crate) struct SlotChain {
    world: Mutex<World>,
    changed: watch::Sender<u64>,
}

impl SlotChain {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { world: Mutex::default(), changed: watch::Sender::new(0) })
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Adds blocks, each its stride of slots above its parent.
    pub(crate) fn grow(&self, strides: impl IntoIterator<Item = u64>) {
        for stride in strides {
            self.lock().push(stride);
        }
        self.tell();
    }

    /// Drops the newest blocks and adds others in their place.
    pub(crate) fn reorganise(&self, depth: usize, strides: impl IntoIterator<Item = u64>) {
        {
            let mut world = self.lock();
            for _ in 0..depth {
                world.blocks.pop_last();
            }
            for stride in strides {
                world.push(stride);
            }
        }
        self.tell();
    }

    /// All but the newest blocks are final.
    pub(crate) fn finalize(&self, open: usize) {
        let mut world = self.lock();
        let newest = world.blocks.values().rev().nth(open).map(Header::block);
        world.finalized = newest;
    }

    /// Sets whether the nodes report different blocks of one height as final.
    pub(crate) fn dispute_finality(&self, is_disputed: bool) {
        self.lock().is_disputed = is_disputed;
    }

    /// A node says once that there is no block in a slot, although there is.
    pub(crate) fn deny_once(&self, slot: u64) {
        self.lock().denied.insert(slot);
    }

    /// The chain: slot and hash of each block.
    pub(crate) fn blocks(&self) -> BTreeMap<u64, B256> {
        self.lock().blocks.iter().map(|(slot, header)| (*slot, header.hash)).collect()
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    fn at(&self, slot: u64) -> Option<Header> {
        self.lock().blocks.get(&slot).copied()
    }

    /// Nodes are asked by slot; the hash is compared.
    fn find(&self, id: BlockId) -> Result<Option<Header>, Unavailable> {
        match id {
            BlockId::Number(slot) => {
                let is_denied = self.lock().denied.remove(&slot);
                Ok(self.at(slot).filter(|_| !is_denied))
            }
            BlockId::Ref(block) => match self.at(block.number) {
                Some(header) if header.hash == block.hash => Ok(Some(header)),
                _ => Err(Unavailable::unknown(format!("slot {} has another block", block.number))),
            },
        }
    }
}

impl World {
    fn push(&mut self, stride: u64) {
        let parent = self.blocks.last_key_value().map(|(_, header)| header.block());
        let parent =
            parent.unwrap_or(BlockRef { number: GENESIS_SLOT, hash: B256::repeat_byte(0x99) });
        self.made += 1;
        let hash = keccak256([&self.made.to_be_bytes()[..], parent.hash.as_slice()].concat());
        let header = Header { number: parent.number + stride, hash, parent };
        self.blocks.insert(header.number, header);
    }
}

/// One event in each block; every third touches the watched address.
fn touches(header: &Header) -> bool {
    header.number.is_multiple_of(3)
}

fn prepare(header: Header, observed_at_us: i64, incarnation: u32) -> Prepared<()> {
    let time_us = i64::try_from(header.number).unwrap() * 400_000;
    let marker = Block {
        id: chain_event_id(CHAIN, &header.hash, Kind::Block),
        event_at_us: time_us,
        observed_at_us,
        chain: CHAIN.to_owned(),
        chain_id: 1,
        block_number: header.number,
        block_hash: header.hash,
        block_time_us: time_us,
        incarnation,
        parent_hash: header.parent.hash,
        ..Block::empty()
    };
    let event = Event::Log(Log {
        id: log_event_id(CHAIN, &header.hash, Kind::Log, 0, None),
        event_at_us: time_us,
        observed_at_us,
        chain: CHAIN.to_owned(),
        chain_id: 1,
        block_number: header.number,
        block_hash: header.hash,
        block_time_us: time_us,
        incarnation,
        ..Log::empty()
    });
    let mut writer = BodiesWriter::with_capacity(1);
    let copy = touches(&header).then(|| format!("watch.{CHAIN}.{WATCHED}.log"));
    writer.push(&event, copy);
    Prepared { header, marker, bodies: writer.finish(), detail: () }
}

/// A node of the chain.
#[derive(Debug)]
pub(crate) struct SlotSource(pub(crate) Arc<SlotChain>);

impl ChainSource for SlotSource {
    type Detail = ();

    fn head(&self) -> Option<Head> {
        let world = self.0.lock();
        let (_, newest) = world.blocks.last_key_value()?;
        Some(Head { block: newest.block(), seen_at_us: now_us() })
    }

    fn highest_number(&self) -> Option<u64> {
        self.0.lock().blocks.last_key_value().map(|(number, _)| *number)
    }

    fn agreed_number(&self) -> Option<u64> {
        self.highest_number()
    }

    /// One operator knows the chain, a second one all but its newest block, a third one another chain.
    fn announced(&self) -> Vec<Vec<BlockRef>> {
        let known: Vec<BlockRef> = self.0.lock().blocks.values().map(Header::block).collect();
        let behind = known[..known.len().saturating_sub(1)].to_vec();
        let other = known.iter().map(|block| BlockRef { hash: B256::ZERO, ..*block }).collect();
        vec![other, behind, known]
    }

    fn head_changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    async fn header(&self, id: BlockId) -> Result<Option<Header>, Unavailable> {
        self.0.find(id)
    }

    async fn block(
        &self,
        id: BlockId,
        observed_at_us: i64,
    ) -> Result<Option<Prepared<()>>, Unavailable> {
        Ok(self.0.find(id)?.map(|header| prepare(header, observed_at_us, 1)))
    }

    async fn finality(&self) -> Result<Option<Finality>, Unavailable> {
        let World { finalized, is_disputed, .. } = *self.0.lock();
        let safe = finalized.map(|block| block.number);
        Ok((!is_disputed).then_some(Finality { finalized, safe }))
    }

    fn refresh(&self, prepared: &mut Prepared<()>, incarnation: u32) {
        if prepared.marker.incarnation != incarnation {
            *prepared = prepare(prepared.header, prepared.marker.observed_at_us, incarnation);
        }
    }

    async fn blocks(&self, span: Span) -> Result<Vec<Prepared<()>>, Unavailable> {
        let headers = (span.from..=span.to).filter_map(|slot| self.0.at(slot));
        Ok(headers.map(|header| prepare(header, now_us(), 1)).collect())
    }

    fn span_width(&self) -> u64 {
        8
    }

    async fn activity(&self, addresses: &[String], look: Look) -> anyhow::Result<Activity> {
        assert_eq!(addresses, [WATCHED], "the text of the address is passed on as it is");
        let headers = (look.span.from..=look.span.to).filter_map(|slot| self.0.at(slot));
        let numbers = headers.filter(touches).map(|header| header.number).collect();
        Ok(Activity { numbers, covers: vec![Covers::default()] })
    }

    async fn block_touching(
        &self,
        number: u64,
        _addresses: &[String],
    ) -> Result<Option<Touching<()>>, Unavailable> {
        let prepared = self.0.at(number).map(|header| prepare(header, now_us(), 1));
        Ok(prepared.map(|prepared| Touching {
            prepared,
            doubts: Vec::new(),
            lacks_payments: false,
        }))
    }
}
