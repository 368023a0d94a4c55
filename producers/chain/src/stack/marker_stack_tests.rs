#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;

use alloy_primitives::keccak256;
use proptest::prelude::*;

use super::*;
use crate::source::family::Family;

/// A stream of markers as a producer writes it, over a tree of blocks.
#[derive(Default)]
struct Writer {
    stream: Vec<(u64, Block)>,
    branch: Vec<(u64, B256, B256)>,
    incarnations: HashMap<B256, u32>,
    finalized: u64,
}

fn hash_of(number: u64, fork: u8, parent: B256) -> B256 {
    keccak256([&number.to_be_bytes()[..], &[fork], parent.as_slice()].concat())
}

impl Writer {
    fn write(&mut self, (number, hash, parent_hash): (u64, B256, B256)) {
        let incarnation = self.incarnations.entry(hash).or_default();
        *incarnation += 1;
        let marker = Block {
            block_number: number,
            block_hash: hash,
            parent_hash,
            removed: incarnation.is_multiple_of(2),
            incarnation: *incarnation,
            finalized_number: self.finalized,
            messages: 3,
            ..Block::empty()
        };
        let sequence = self.stream.last().map_or(10, |(last, _)| last + 4);
        self.stream.push((sequence, marker));
    }

    fn push(&mut self, fork: u8) {
        let (number, parent) =
            self.branch.last().map_or((7, B256::ZERO), |(number, hash, _)| (number + 1, *hash));
        let block = (number, hash_of(number, fork, parent), parent);
        self.branch.push(block);
        self.write(block);
    }

    fn pop(&mut self) -> bool {
        match self.branch.last().copied() {
            Some(block) if block.0 > self.finalized => {
                self.branch.pop();
                self.write(block);
                true
            }
            _ => false,
        }
    }

    fn fold_from(&self, sequence: u64) -> MarkerStack {
        let mut stack = MarkerStack::default();
        for (place, marker) in self.stream.iter().filter(|(place, _)| *place >= sequence) {
            stack.fold(marker, *place);
        }
        stack
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Reorg(usize, Vec<u8>),
    Finalize(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few fork names, so that blocks come back.
    let fork = 0_u8..2;
    let step = prop_oneof![
        4 => fork.clone().prop_map(Step::Push),
        2 => (1_usize..5, proptest::collection::vec(fork, 1..6))
            .prop_map(|(depth, new)| Step::Reorg(depth, new)),
        1 => (0_u64..6).prop_map(Step::Finalize),
    ];
    proptest::collection::vec(step, 1..60)
}

fn run(steps: &[Step]) -> Writer {
    let mut writer = Writer::default();
    writer.push(0);
    for step in steps {
        match step {
            Step::Push(fork) => writer.push(*fork),
            Step::Reorg(depth, new) => {
                for _ in 0..*depth {
                    writer.pop();
                }
                new.iter().for_each(|fork| writer.push(*fork));
            }
            Step::Finalize(lag) => {
                let top = writer.branch.last().map_or(0, |(number, ..)| *number);
                writer.finalized = writer.finalized.max(top.saturating_sub(*lag));
            }
        }
    }
    writer
}

proptest! {
    #[test]
    fn the_fold_ends_on_the_written_branch(steps in steps()) {
        let writer = run(&steps);
        let stack = writer.fold_from(0);
        let top = writer.branch.last().copied().unwrap();
        prop_assert_eq!(stack.top().map(|entry| (entry.number, entry.hash)), Some((top.0, top.1)));
        prop_assert_eq!(stack.next_number(), Some(top.0 + 1));
        for entry in &stack.entries {
            prop_assert!(writer.branch.iter().any(|(_, hash, _)| *hash == entry.hash));
        }
    }

    #[test]
    fn a_fold_from_where_it_may_start_forgets_nothing(steps in steps()) {
        let writer = run(&steps);
        let whole = writer.fold_from(0);
        let Some(start) = whole.fold_start() else { return Ok(()) };
        let part = writer.fold_from(start.sequence);
        prop_assert_eq!(part.top(), whole.top());
        prop_assert_eq!(part.finalized(), whole.finalized());
        prop_assert_eq!(part.owed_reorg(), whole.owed_reorg());
        // Every block that was ever on the bottom's branch keeps its count.
        let bottom = start.hash;
        let mut descends = vec![bottom];
        for (_, marker) in &writer.stream {
            if descends.contains(&marker.parent_hash) && !descends.contains(&marker.block_hash) {
                descends.push(marker.block_hash);
            }
        }
        for hash in descends.iter().skip(1) {
            let next = writer.incarnations[hash] + 1;
            prop_assert_eq!(part.next_incarnation(hash), next);
        }
    }

    #[test]
    fn what_is_retracted_is_what_is_not_on_the_new_branch(
        steps in steps(),
        depth in 0_usize..12,
    ) {
        let writer = run(&steps);
        let stack = writer.fold_from(0);
        let kept = writer.branch.len().saturating_sub(depth);
        let (number, parent) = match kept.checked_sub(1) {
            Some(last) => (writer.branch[last].0 + 1, writer.branch[last].1),
            None => (7, B256::ZERO),
        };
        let oldest = header(number, B256::repeat_byte(0xee), parent);
        let wanted: Vec<B256> =
            writer.branch[kept..].iter().rev().map(|(_, hash, _)| *hash).collect();
        let below_final = writer.branch[kept..].iter().any(|(number, ..)| *number <= stack.finalized());
        match stack.retraction(&limits(8), number, &oldest) {
            Ok(retraction) => {
                prop_assert!(!below_final && wanted.len() <= 8);
                let hashes: Vec<B256> =
                    retraction.entries.iter().map(|entry| entry.hash).collect();
                prop_assert_eq!(hashes, wanted);
                prop_assert_eq!(retraction.ancestor, BlockRef { number: number - 1, hash: parent });
            }
            Err(Refused::TooDeep { depth, .. }) => {
                prop_assert!(!below_final);
                prop_assert_eq!(depth as usize, wanted.len());
                prop_assert!(depth > 8);
            }
            Err(Refused::BelowFinal { .. }) => prop_assert!(below_final),
        }
    }
}

fn header(number: u64, hash: B256, parent_hash: B256) -> Header {
    Header { number, hash, parent: BlockRef { number: number - 1, hash: parent_hash } }
}

fn limits(max_reorg_depth: u64) -> Limits {
    let family = Family { name: "evm", stream: "EVM" };
    Limits { family, chain: "chain".to_owned(), max_reorg_depth, catch_up_blocks: 0 }
}

#[test]
fn heads_relate_to_the_top() {
    let mut writer = Writer::default();
    assert_eq!(
        MarkerStack::default().relate(BlockRef { number: 1, hash: B256::ZERO }),
        Relation::Above
    );
    for _ in 0..3 {
        writer.push(0);
    }
    let stack = writer.fold_from(0);
    let (top, top_hash, below) = writer.branch[2];
    let other = B256::repeat_byte(1);
    for (number, hash, expected) in [
        (top, top_hash, Relation::AtTop),
        (top, other, Relation::Beside),
        (top + 1, other, Relation::Above),
        (top - 1, below, Relation::Behind),
        (top - 1, other, Relation::Behind),
    ] {
        assert_eq!(stack.relate(BlockRef { number, hash }), expected, "{number}");
    }
}

#[test]
fn a_chain_that_began_above_what_is_final_may_change_its_base() {
    let mut stack = MarkerStack::begin(100, B256::repeat_byte(1));
    assert_eq!(stack.next_number(), Some(100));
    let marker = Block {
        block_number: 100,
        block_hash: B256::repeat_byte(2),
        parent_hash: B256::repeat_byte(1),
        finalized_number: 90,
        ..Block::empty()
    };
    stack.fold(&marker, 5);
    let other_base = header(100, B256::repeat_byte(3), B256::repeat_byte(9));
    assert!(!stack.meets(&other_base));
    let retraction = stack.retraction(&limits(10), 100, &other_base).unwrap();
    assert_eq!(retraction.entries.len(), 1);
    let final_base = MarkerStack { finalized: 100, ..stack };
    assert!(final_base.retraction(&limits(10), 100, &other_base).is_err());
}

#[test]
fn a_branch_that_was_not_linked_to_its_end_is_too_deep() {
    let mut writer = Writer::default();
    for _ in 0..20 {
        writer.push(0);
    }
    let stack = writer.fold_from(0);
    // Published are 7 to 26; the branch is known down to 20.
    let oldest = header(20, B256::repeat_byte(1), B256::repeat_byte(2));
    let refused = stack.retraction(&limits(4), 27, &oldest).unwrap_err();
    assert!(matches!(refused, Refused::TooDeep { depth: 8, limit: 4, .. }), "{refused}");
}

#[test]
fn the_removed_marker_of_a_block_that_was_never_pushed_pops_nothing() {
    let mut writer = Writer::default();
    writer.push(0);
    let mut stack = writer.fold_from(0);
    let abandoned = Block {
        block_number: 8,
        block_hash: B256::repeat_byte(8),
        removed: true,
        incarnation: 2,
        ..Block::empty()
    };
    stack.fold(&abandoned, 99);
    assert_eq!(stack.top().map(|top| top.number), Some(7));
    assert!(stack.owed_reorg().is_none());
    assert_eq!(stack.next_incarnation(&B256::repeat_byte(8)), 3);
    assert_eq!(stack.last_marker(), 99);
}
