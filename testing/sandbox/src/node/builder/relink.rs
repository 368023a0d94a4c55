//! Real block bodies under new numbers, parents, times and hashes.

use std::collections::HashMap;
use std::sync::Arc;

use alloy_primitives::{B256, keccak256};
use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::header::Header;
use super::position::{Place, Position};
use crate::node::block::{Identity, NodeBlock, Texts};
use crate::node::lazy_block::LazyBlock;

// Separates hexadecimal texts, which cannot contain it.
const MARK: &str = "@@";

/// Where the new chain begins.
#[derive(Debug, Clone)]
pub struct RelinkOptions {
    /// Number of the first block.
    pub first_number: u64,
    /// Parent of the first block.
    pub first_parent: B256,
    /// Time of the first block, seconds since 1970.
    pub first_timestamp: u64,
    /// Time from block to block.
    pub seconds_per_block: u64,
}

impl Default for RelinkOptions {
    fn default() -> Self {
        Self {
            first_number: 1,
            first_parent: B256::ZERO,
            first_timestamp: 1_700_000_000,
            seconds_per_block: 12,
        }
    }
}

/// Makes a chain out of recorded blocks, repeated in their order.
///
/// Number, parent, time, block hash and transaction hashes are new and agree everywhere; all else (addresses, topics, data,
/// log indexes, bloom, gas) is as recorded. The block hash is the true hash of the new header. `transactionsRoot` and
/// `receiptsRoot` are the recorded ones and do not fit the new transaction hashes. A new transaction hash is
/// keccak(recorded hash, new number, branch).
#[derive(Debug)]
pub struct Relink {
    bodies: Vec<Arc<Body>>,
    position: Position,
}

#[derive(Debug)]
struct Body {
    header: Header,
    full: Template,
    receipts: Template,
    head: Template,
    transaction_hashes: Vec<B256>,
    extra_data: String,
}

/// Text with placeholders.
#[derive(Debug)]
struct Template(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    Text(String),
    Hash,
    ParentHash,
    Number,
    Timestamp,
    ExtraData,
    TransactionHash(usize),
}

impl Relink {
    /// Prepares the bodies.
    ///
    /// # Errors
    /// Fails when there is none, or when one is not readable as a block with receipts.
    pub fn new(bodies: &[NodeBlock], options: &RelinkOptions) -> anyhow::Result<Self> {
        ensure!(!bodies.is_empty(), "relinking needs at least one block");
        let bodies = bodies
            .iter()
            .map(|block| {
                let body = Body::read(block);
                body.map(Arc::new).with_context(|| format!("prepare block {}", block.number))
            })
            .collect::<anyhow::Result<_>>()?;
        let position = Position::new(
            options.first_number,
            options.first_parent,
            options.first_timestamp,
            options.seconds_per_block,
        );
        Ok(Self { bodies, position })
    }

    /// The next block.
    pub fn next_block(&mut self) -> NodeBlock {
        let place = self.position.next(None);
        self.build(place).make()
    }

    /// The next block, at this time (but not before its parent's).
    pub fn next_block_at(&mut self, timestamp: u64) -> NodeBlock {
        self.next_lazy_at(timestamp).make()
    }

    /// The next block, at this time (but not before its parent's), built on request.
    pub fn next_lazy_at(&mut self, timestamp: u64) -> LazyBlock {
        let place = self.position.next(Some(timestamp));
        self.build(place)
    }

    /// Goes back `depth` blocks and builds `new_blocks` of another branch, with other transaction hashes.
    pub fn fork(&mut self, depth: usize, new_blocks: usize) -> Vec<NodeBlock> {
        self.position.fork(depth, false);
        (0..new_blocks).map(|_| self.next_block()).collect()
    }

    fn build(&mut self, place: Place) -> LazyBlock {
        // Numbers may begin anywhere: which body a block has depends on its number alone.
        let turn = usize::try_from(place.number).unwrap_or(usize::MAX) % self.bodies.len();
        let body = Arc::clone(&self.bodies[turn]);
        let mut header = body.header.clone();
        header.set_place(place.parent_hash, place.number, place.timestamp);
        // Other transactions do not change the header, so another branch needs a difference there.
        let branch = self.position.branch;
        if branch != 0 {
            header.set_extra_data(&branch.to_be_bytes());
        }
        let identity = Identity {
            number: place.number,
            hash: header.hash(),
            parent_hash: place.parent_hash,
            timestamp: place.timestamp,
        };
        self.position.push(identity.hash, place.timestamp);
        let transaction_branch = self.position.transaction_branch;
        LazyBlock::new(identity, move || {
            let extra_data =
                if branch == 0 { body.extra_data.clone() } else { format!("0x{branch:016x}") };
            let hashes = &body.transaction_hashes;
            let filling = Filling::new(&identity, extra_data, hashes, transaction_branch);
            let texts = Texts {
                header: body.head.fill(&filling),
                full: body.full.fill(&filling),
                receipts: body.receipts.fill(&filling),
            };
            NodeBlock::from_texts(identity, texts)
        })
    }
}

/// Values of the placeholders.
struct Filling {
    hash: String,
    parent_hash: String,
    number: String,
    timestamp: String,
    extra_data: String,
    transaction_hashes: Vec<String>,
}

impl Filling {
    fn new(identity: &Identity, extra_data: String, recorded: &[B256], branch: u64) -> Self {
        let mut seed = [0_u8; 48];
        seed[32..40].copy_from_slice(&identity.number.to_be_bytes());
        seed[40..].copy_from_slice(&branch.to_be_bytes());
        let transaction_hashes = recorded
            .iter()
            .map(|hash| {
                seed[..32].copy_from_slice(hash.as_slice());
                keccak256(seed).to_string()
            })
            .collect();
        Self {
            hash: identity.hash.to_string(),
            parent_hash: identity.parent_hash.to_string(),
            number: format!("{:#x}", identity.number),
            timestamp: format!("{:#x}", identity.timestamp),
            extra_data,
            transaction_hashes,
        }
    }
}

impl Body {
    fn read(block: &NodeBlock) -> anyhow::Result<Self> {
        let mut full: Value = serde_json::from_str(block.full_json()).context("read block")?;
        let mut head: Value = serde_json::from_str(block.header_json()).context("read header")?;
        let mut receipts: Value =
            serde_json::from_str(block.receipts_json()).context("read receipts")?;
        let header = Header::read(&full)?;
        let extra_data = full["extraData"].as_str().context("find extraData")?.to_owned();
        let mut transaction_hashes = Vec::new();
        let mut places = HashMap::new();
        for transaction in full["transactions"].as_array().context("find transactions")? {
            let text = transaction.as_str().or_else(|| transaction["hash"].as_str());
            let text = text.context("find transaction hash")?.to_owned();
            places.insert(text.clone(), transaction_hashes.len());
            transaction_hashes.push(text.parse().context("read transaction hash")?);
        }
        mark_block(&mut head);
        mark_block(&mut full);
        for transaction in list(&mut full["transactions"]) {
            mark_transaction(transaction, "hash", &places);
        }
        for receipt in list(&mut receipts) {
            mark_transaction(receipt, "transactionHash", &places);
            for log in list(&mut receipt["logs"]) {
                mark_transaction(log, "transactionHash", &places);
            }
        }
        Ok(Self {
            header,
            full: Template::read(&full)?,
            receipts: Template::read(&receipts)?,
            head: Template::read(&head)?,
            transaction_hashes,
            extra_data,
        })
    }
}

impl Template {
    fn read(marked: &Value) -> anyhow::Result<Self> {
        let text = marked.to_string();
        let mut segments = Vec::new();
        for (place, part) in text.split(MARK).enumerate() {
            // Texts and codes alternate.
            let segment = match part {
                text if place % 2 == 0 => Segment::Text(text.to_owned()),
                "H" => Segment::Hash,
                "P" => Segment::ParentHash,
                "N" => Segment::Number,
                "S" => Segment::Timestamp,
                "X" => Segment::ExtraData,
                index => Segment::TransactionHash(index.parse().context("read mark")?),
            };
            segments.push(segment);
        }
        Ok(Self(segments))
    }

    fn fill(&self, filling: &Filling) -> String {
        let parts = || {
            self.0.iter().map(|segment| match segment {
                Segment::Text(text) => text,
                Segment::Hash => &filling.hash,
                Segment::ParentHash => &filling.parent_hash,
                Segment::Number => &filling.number,
                Segment::Timestamp => &filling.timestamp,
                Segment::ExtraData => &filling.extra_data,
                Segment::TransactionHash(index) => &filling.transaction_hashes[*index],
            })
        };
        let mut text = String::with_capacity(parts().map(String::len).sum());
        parts().for_each(|part| text.push_str(part));
        text
    }
}

fn list(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}

fn mark_block(block: &mut Value) {
    for (name, code) in [
        ("hash", "H"),
        ("parentHash", "P"),
        ("number", "N"),
        ("timestamp", "S"),
        ("extraData", "X"),
    ] {
        mark(block, name, code);
    }
}

fn mark_transaction(object: &mut Value, hash_name: &str, places: &HashMap<String, usize>) {
    if let Value::String(hash) = object {
        if let Some(place) = places.get(hash) {
            *hash = format!("{MARK}{place}{MARK}");
        }
        return;
    }
    mark(object, "blockHash", "H");
    mark(object, "blockNumber", "N");
    mark(object, "blockTimestamp", "S");
    let place = object[hash_name].as_str().and_then(|hash| places.get(hash));
    if let Some(place) = place {
        mark(object, hash_name, &place.to_string());
    }
}

fn mark(object: &mut Value, name: &str, code: &str) {
    if let Some(value) = object.get_mut(name)
        && !value.is_null()
    {
        *value = Value::String(format!("{MARK}{code}{MARK}"));
    }
}
