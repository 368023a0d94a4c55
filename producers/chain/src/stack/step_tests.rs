//! Random histories of a chain, followed by the steps alone: what is published at the end is the chain.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::keccak256;
use crypto_intel_schemas::{B256, Block};
use proptest::prelude::*;

use super::*;
use crate::source::family::Family;

/// A tree of blocks of which one branch is the chain. Numbers have holes.
struct World {
    headers: HashMap<B256, Header>,
    /// The chain, by number.
    canonical: BTreeMap<u64, Header>,
    finalized: u64,
    blocks: u64,
}

/// What a producer wrote: markers, and gaps that it left to the history lane.
struct Stream {
    stack: MarkerStack,
    sequence: u64,
    /// What is published and was not retracted, oldest first.
    published: Vec<Header>,
    gaps: Vec<(u64, u64)>,
    limits: Limits,
}

#[derive(Debug, Clone)]
enum Change {
    /// So many blocks, each so many numbers above its parent.
    Grow(usize, u64),
    /// Drops blocks down to this depth and grows by others.
    Reorganise(usize, usize),
    /// All but the newest blocks become final.
    Finalize(usize),
    /// The producer follows; else it is away meanwhile.
    Follow,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        5 => (1_usize..5, 1_u64..4).prop_map(|(blocks, stride)| Change::Grow(blocks, stride)),
        // Far enough for a jump.
        1 => (30_usize..60, 1_u64..3).prop_map(|(blocks, stride)| Change::Grow(blocks, stride)),
        4 => (1_usize..12, 1_usize..12).prop_map(|(depth, new)| Change::Reorganise(depth, new)),
        2 => (0_usize..10).prop_map(Change::Finalize),
        6 => Just(Change::Follow),
    ];
    proptest::collection::vec(change, 1..40)
}

impl World {
    fn new() -> Self {
        let (headers, canonical) = (HashMap::new(), BTreeMap::new());
        let mut world = Self { headers, canonical, finalized: 10, blocks: 0 };
        world.push(1);
        world
    }

    fn push(&mut self, stride: u64) {
        let parent = self.canonical.last_key_value().map(|(_, header)| header.block());
        let parent = parent.unwrap_or(BlockRef { number: 10, hash: B256::repeat_byte(1) });
        self.blocks += 1;
        let hash = keccak256([&self.blocks.to_be_bytes()[..], parent.hash.as_slice()].concat());
        let header = Header { number: parent.number + stride, hash, parent };
        self.headers.insert(hash, header);
        self.canonical.insert(header.number, header);
    }

    /// Never drops what is final, as a chain does not.
    fn reorganise(&mut self, depth: usize, new: usize) {
        for _ in 0..depth {
            match self.canonical.last_key_value() {
                Some((number, _)) if *number > self.finalized => self.canonical.pop_last(),
                _ => break,
            };
        }
        (0..new).for_each(|_| self.push(1));
    }

    fn finalize(&mut self, open: usize) {
        let newest = self.canonical.keys().rev().nth(open).copied();
        self.finalized = self.finalized.max(newest.unwrap_or_default());
    }

    fn head(&self) -> Option<BlockRef> {
        self.canonical.last_key_value().map(|(_, header)| header.block())
    }
}

impl Stream {
    fn new(max_reorg_depth: u64, catch_up_blocks: u64) -> Self {
        let family = Family { name: "evm", stream: "EVM" };
        let chain = "chain".to_owned();
        Self {
            stack: MarkerStack::begin(11, B256::repeat_byte(1)),
            sequence: 0,
            published: Vec::new(),
            gaps: Vec::new(),
            limits: Limits { family, chain, max_reorg_depth, catch_up_blocks },
        }
    }

    fn write(&mut self, header: &Header, removed: bool, finalized: u64) {
        self.sequence += 2;
        let marker = Block {
            block_number: header.number,
            block_hash: header.hash,
            parent_hash: header.parent.hash,
            incarnation: self.stack.next_incarnation(&header.hash),
            removed,
            finalized_number: finalized.min(header.number),
            messages: 1,
            ..Block::empty()
        };
        self.stack.fold(&marker, self.sequence);
    }

    fn push(&mut self, header: Header, world: &World) {
        assert_eq!(self.stack.expected_parent(), Some(header.parent.hash), "never a gap");
        self.write(&header, false, world.finalized);
        self.published.push(header);
    }

    fn retract(&mut self, entries: &[crate::stack::marker_stack::Entry], world: &World) {
        assert!(entries.len() as u64 <= self.limits.max_reorg_depth);
        for entry in entries {
            let newest = self.published.pop().unwrap();
            assert_eq!(entry.block(), newest.block(), "newest first");
            assert!(entry.number > self.stack.finalized(), "nothing final leaves");
            self.write(&newest, true, world.finalized.min(self.stack.finalized()));
        }
    }

    /// As the leader: until there is nothing left to do.
    fn follow(&mut self, world: &World) -> Result<(), Refused> {
        let mut branch: Vec<Header> = Vec::new();
        for _ in 0..10_000 {
            let head = world.head();
            let far = head.filter(|head| self.stack.is_far(head.number, &self.limits));
            let finalized = far.map(|_| world.finalized);
            let view = View { head, finalized, branch: &branch };
            match self.stack.step(&view, &self.limits)? {
                Step::Wait => return Ok(()),
                Step::Link(block) => match world.headers.get(&block.hash) {
                    Some(header) => branch.push(*header),
                    None => panic!("asked for {block:?}, which is below the chain's beginning"),
                },
                Step::Extend(Target::Branch) => {
                    let first = self.stack.first_of_branch(&branch);
                    let blocks = std::mem::take(&mut branch).into_iter().rev();
                    for header in blocks.filter(|header| header.number >= first) {
                        self.push(header, world);
                    }
                }
                Step::Extend(Target::Head) => {
                    let next = self.stack.next_number().unwrap();
                    for header in world.canonical.range(next..).map(|(_, header)| *header) {
                        if self.stack.expected_parent() != Some(header.parent.hash) {
                            branch.push(header);
                            break;
                        }
                        self.push(header, world);
                    }
                }
                Step::Retract(retraction) => self.retract(&retraction.entries, world),
                Step::Jump { finalized, .. } => self.jump(world, finalized)?,
            }
        }
        panic!("the steps come to no end");
    }

    fn jump(&mut self, world: &World, finalized: u64) -> Result<(), Refused> {
        let on_chain = |number: u64| world.canonical.get(&number).map(|header| header.hash);
        let strangers: Vec<_> = self.stack.newest_first();
        let strangers: Vec<_> = strangers
            .into_iter()
            .take_while(|entry| on_chain(entry.number) != Some(entry.hash))
            .collect();
        if let Some(oldest) = strangers.last() {
            self.stack.check_retraction(&self.limits, oldest.number, &strangers)?;
            self.retract(&strangers, world);
        }
        let from = self.stack.first_missing().unwrap();
        let (to, header) = world.canonical.range(..=finalized).next_back().unwrap();
        self.gaps.push((from, *to));
        self.stack.jump(to + 1, header.hash);
        Ok(())
    }

    /// Whether what is published, and what was left to the history lane, is the chain.
    fn is_whole(&self, world: &World) -> bool {
        let in_gap =
            |number: u64| self.gaps.iter().any(|(from, to)| (*from..=*to).contains(&number));
        let published: BTreeMap<u64, B256> =
            self.published.iter().map(|header| (header.number, header.hash)).collect();
        let is_there = |header: &Header| {
            in_gap(header.number) || published.get(&header.number) == Some(&header.hash)
        };
        let on_chain = |header: &Header| {
            world.canonical.get(&header.number).is_some_and(|on| on.hash == header.hash)
        };
        let is_once = published.len() == self.published.len();
        is_once && world.canonical.values().all(is_there) && self.published.iter().all(on_chain)
    }
}

/// How many published blocks the chain has dropped.
fn depth(stream: &Stream, world: &World) -> usize {
    let gone = |header: &&Header| {
        world.canonical.get(&header.number).map(|on| on.hash) != Some(header.hash)
    };
    stream.published.iter().rev().take_while(gone).count()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_published_at_the_end_is_the_chain(
        changes in changes(),
        max_depth in 1_u64..12,
        catch_up in prop_oneof![Just(0_u64), 15_u64..40],
    ) {
        let mut world = World::new();
        let mut stream = Stream::new(max_depth, catch_up);
        for change in changes.into_iter().chain([Change::Grow(1, 1), Change::Follow]) {
            match change {
                Change::Grow(blocks, stride) => (0..blocks).for_each(|_| world.push(stride)),
                Change::Reorganise(depth, new) => world.reorganise(depth, new),
                Change::Finalize(open) => world.finalize(open),
                Change::Follow => {
                    let dropped = depth(&stream, &world);
                    // A producer that was away may have what became final on another branch.
                    let below_final = stream.published.iter().rev().take(dropped)
                        .any(|header| header.number <= stream.stack.finalized());
                    match stream.follow(&world) {
                        Ok(()) => {
                            let head = world.head();
                            let top = stream.stack.top().map(crate::stack::marker_stack::Entry::block);
                            // A shorter branch is behind, not followed, until it grows.
                            if top.is_none() || top == head {
                                prop_assert!(dropped as u64 <= max_depth && !below_final);
                                prop_assert!(stream.is_whole(&world));
                            } else {
                                prop_assert!(top.map(|top| top.number) > head.map(|head| head.number));
                            }
                        }
                        Err(Refused::TooDeep { .. }) => {
                            prop_assert!(dropped as u64 > max_depth);
                            return Ok(());
                        }
                        Err(Refused::BelowFinal { .. }) => {
                            prop_assert!(below_final);
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_branch_below_the_beginning_is_linked_to_what_is_final_and_replaces_everything() {
    let (hash, limits) = (B256::repeat_byte, Stream::new(32, 0).limits);
    let block = |number: u64, byte: u8| BlockRef { number, hash: hash(byte) };
    let mut stack = MarkerStack::begin(100, hash(1));
    let marker = |removed| Block {
        block_number: 100,
        block_hash: hash(2),
        parent_hash: hash(1),
        finalized_number: 97,
        incarnation: 1 + u32::from(removed),
        removed,
        ..Block::empty()
    };
    stack.fold(&marker(false), 5);
    let mut branch = Vec::new();
    let mut next = stack.step(&View { head: Some(block(100, 30)), ..View::default() }, &limits);
    for (number, byte) in [(100, 30), (99, 31), (98, 32)] {
        assert_eq!(next, Ok(Step::Link(block(number, byte))));
        branch.push(Header { number, hash: hash(byte), parent: block(number - 1, byte + 1) });
        next = stack.step(&View { branch: &branch, ..View::default() }, &limits);
    }
    let Ok(Step::Retract(retraction)) = next else { panic!("{next:?}") };
    assert_eq!(retraction.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [100]);
    stack.fold(&marker(true), 6);
    let next = stack.step(&View { branch: &branch, ..View::default() }, &limits);
    assert_eq!(next, Ok(Step::Extend(Target::Branch)));
    assert_eq!(stack.first_of_branch(&branch), 100, "what is below was never published");
    let (_, ancestor) = stack.owed_reorg().unwrap_or_default();
    assert_eq!(ancestor.number, 99);
}
