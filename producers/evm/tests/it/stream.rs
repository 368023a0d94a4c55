//! The stream of a chain, folded as a consumer would fold it, with every rule of the wire checked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crypto_intel_nats::{Nats, ReaderOptions, Start, StreamReader};
use crypto_intel_sandbox::NodeBlock;
use crypto_intel_schemas::{B256, Block, Erc20Transfer, Event, Finalized, Kind, Reorg, subjects};
use serde_json::Value;

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// A stream of one chain, folded.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Markers in their order, with sequences.
    pub(crate) markers: Vec<(u64, Block)>,
    pub(crate) reorgs: Vec<Reorg>,
    /// Ranges that were left to the history lane, both ends included.
    pub(crate) jumps: Vec<(u64, u64)>,
    /// The same ranges, by the jump events.
    pub(crate) told_jumps: Vec<(u64, u64)>,
    pub(crate) finalized: Vec<Finalized>,
    pub(crate) events: Vec<(String, Event)>,
    /// Blocks that are canonical now.
    pub(crate) stack: Vec<Block>,
    /// Bodies that are live now, by id.
    live: BTreeMap<String, Event>,
    incarnations: HashMap<B256, u32>,
    pending: Vec<Event>,
}

impl Replayed {
    pub(crate) async fn of(nats: &Nats, chain: &str) -> Self {
        let filter = format!("evm.{chain}.>");
        let mut replayed = Self::default();
        // The last acknowledged message, whichever server of a cluster is asked.
        let last = nats.last_from_leader("EVM", &filter).await.unwrap();
        let Some(last) = last.map(|last| last.sequence) else { return replayed };
        let options = ReaderOptions::new("EVM", "test", Start::First).filters([filter]);
        let mut reader = StreamReader::open(nats, options).await.unwrap();
        loop {
            for message in reader.next(5_000).await.unwrap().messages {
                if message.sequence > last {
                    return replayed;
                }
                let event = Event::decode(&message.payload).unwrap();
                assert_eq!(message.subject, subjects::of(&event), "subject fits the event");
                assert!(message.subject.starts_with(&format!("evm.{chain}.")));
                assert_eq!(message.schema.as_deref(), Some(event.kind().schema()));
                replayed.take(message.sequence, event);
                if message.sequence == last {
                    return replayed;
                }
            }
        }
    }

    fn take(&mut self, sequence: u64, event: Event) {
        let Event::Block(marker) = event else {
            self.events.push((event.id().to_owned(), event.clone()));
            self.pending.push(event);
            return;
        };
        let pending = std::mem::take(&mut self.pending);
        assert_eq!(marker.messages as usize, pending.len(), "marker counts its messages");
        let incarnation = self.incarnations.entry(marker.block_hash).or_default();
        *incarnation += 1;
        assert_eq!(marker.incarnation, *incarnation, "incarnations have no gap");
        assert_eq!(marker.removed, marker.incarnation % 2 == 0);
        for event in &pending {
            let fields = event.block_fields().unwrap();
            assert_eq!(fields.block_hash, marker.block_hash, "messages belong to their marker");
            assert_eq!(fields.incarnation, marker.incarnation);
            assert_eq!(fields.removed, marker.removed);
        }
        if marker.removed {
            let top = self.stack.pop().expect("a removed marker pops");
            assert_eq!(top.block_hash, marker.block_hash, "newest first");
            self.retract(pending);
        } else {
            if let Some(top) = self.stack.last()
                && top.block_hash != marker.parent_hash
            {
                assert!(marker.block_number > top.block_number + 1, "blocks are linked");
                self.jumps.push((top.block_number + 1, marker.block_number - 1));
                self.stack.clear();
            }
            self.stack.push(marker.clone());
            self.add(&marker, pending);
        }
        self.markers.push((sequence, marker));
    }

    fn add(&mut self, marker: &Block, events: Vec<Event>) {
        let mut rows = 0;
        for event in events {
            match event {
                Event::Reorg(reorg) => self.reorgs.push(reorg),
                Event::Finalized(finalized) => self.finalized.push(finalized),
                Event::Jump(jump) => self.told_jumps.push((jump.from_number, jump.to_number)),
                body => {
                    rows += 1;
                    let before = self.live.insert(body.id().to_owned(), body);
                    assert!(before.is_none(), "nothing is there twice: {before:?}");
                }
            }
        }
        assert_eq!(marker.rows, rows);
    }

    fn retract(&mut self, events: Vec<Event>) {
        for event in events {
            assert!(self.live.remove(event.id()).is_some(), "only what is there is retracted");
        }
    }

    pub(crate) fn top(&self) -> Option<B256> {
        self.stack.last().map(|marker| marker.block_hash)
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.stack.iter().map(|marker| marker.block_number).collect()
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.live.values().filter(|event| event.kind() == kind).count()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Event> {
        self.live.values()
    }

    pub(crate) fn erc20(&self) -> impl Iterator<Item = &Erc20Transfer> {
        self.live().filter_map(|event| match event {
            Event::Erc20Transfer(transfer) => Some(transfer),
            _ => None,
        })
    }

    /// Block hash and log index of every ERC-20 transfer that is live now.
    pub(crate) fn transfers(&self) -> BTreeSet<(B256, u32)> {
        self.erc20().map(|transfer| (transfer.block_hash, transfer.log_index)).collect()
    }
}

/// Block hash and log index of every ERC-20 transfer of these blocks, by their JSON alone.
pub(crate) fn transfers_of<'a>(
    blocks: impl IntoIterator<Item = &'a NodeBlock>,
) -> BTreeSet<(B256, u32)> {
    let logs = blocks.into_iter().flat_map(|block| {
        block.logs().map(|text| serde_json::from_str::<Value>(text).unwrap()).collect::<Vec<_>>()
    });
    logs.filter_map(|log| transfer_of(&log)).collect()
}

/// Block hash and log index, if the log is an ERC-20 transfer.
pub(crate) fn transfer_of(log: &Value) -> Option<(B256, u32)> {
    let topics = log["topics"].as_array()?;
    let is_transfer = topics.len() == 3
        && topics[0] == TRANSFER
        && log["data"].as_str().is_some_and(|data| data.len() == 66);
    let index = log["logIndex"].as_str()?.trim_start_matches("0x");
    is_transfer.then(|| {
        (
            log["blockHash"].as_str().unwrap().parse().unwrap(),
            u32::from_str_radix(index, 16).unwrap(),
        )
    })
}
