//! What people last heard of each alert is what the canonical chain holds under the rule: for the
//! smallest plans that once broke it, and for random ones.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    world::{Belief, Transaction, World},
    *,
};
use crate::condition::fields::hex_text;

/// Amount from which both rules fire.
const LARGE: u64 = 5;

/// A transfer that the chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    transaction: B256,
    amount: u64,
    recipient: String,
    number: u64,
}

impl World {
    fn held(&self) -> Vec<Held> {
        let blocks = self.chain.iter();
        blocks
            .flat_map(|block| {
                block.transactions.iter().map(|transaction| Held {
                    transaction: transaction.tx_hash(),
                    amount: transaction.amount_in(block.number),
                    recipient: hex_text(Address::repeat_byte(transaction.recipient).as_slice()),
                    number: block.number,
                })
            })
            .collect()
    }

    /// Where what people last heard differs from what the chain holds. To be asked when it is quiet.
    fn differences(&self) -> Vec<String> {
        let held = self.held();
        let mut found = Vec::new();
        for rule in ["flat", "cool"] {
            let beliefs: Vec<&Belief> = self
                .beliefs
                .values()
                .filter(|belief| belief.rule == rule && !belief.gone)
                .collect();
            let mut told: Vec<&Held> = Vec::new();
            for belief in beliefs.iter().filter(|belief| belief.transaction.is_some()) {
                let truth = held.iter().find(|held| Some(held.transaction) == belief.transaction);
                let Some(truth) = truth else {
                    found.push(format!("{rule}: not on chain, people believe {belief:?}"));
                    continue;
                };
                if belief.title.split(' ').next() != Some(truth.amount.to_string().as_str())
                    || belief.number != Some(truth.number)
                    || belief.meets_rule != (truth.amount >= LARGE)
                {
                    found.push(format!("{rule}: chain has {truth:?}, people believe {belief:?}"));
                }
                if told.contains(&truth) {
                    found.push(format!("{rule}: believed twice: {truth:?}"));
                }
                told.push(truth);
            }
            let untold = held.iter().filter(|held| held.amount >= LARGE && !told.contains(held));
            let mut by_recipient: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
            for held in untold {
                if rule == "flat" {
                    found.push(format!("flat: nobody was told of {held:?}"));
                }
                let (count, sum) = by_recipient.entry(&held.recipient).or_default();
                *count += 1;
                *sum += held.amount;
            }
            let mut collected: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
            for belief in beliefs.iter().filter(|belief| belief.transaction.is_none()) {
                let recipient = belief.title.rsplit(' ').next().unwrap_or_default();
                let (count, sum) = collected.entry(recipient).or_default();
                let words: Vec<&str> = belief.title.split([' ', ',']).collect();
                *count += words[0].parse::<u64>().unwrap();
                let place = words.iter().rposition(|word| *word == "sum" || *word == "more");
                let amount = words[place.unwrap() + 1..].iter().find(|word| !word.is_empty());
                *sum += amount.unwrap().parse::<u64>().unwrap();
            }
            if rule == "cool" && by_recipient != collected {
                found.push(format!(
                    "cool: not told one by one {by_recipient:?}, collected {collected:?}"
                ));
            }
        }
        found
    }
}

/// Runs a plan, waits, and compares.
fn holds_after(finality: u64, plan: &str) -> World {
    let mut world = World::new(finality);
    world.run(plan);
    world.be_quiet();
    let differences = world.differences();
    assert!(differences.is_empty(), "{plan}: {differences:#?}\nsaid: {:#?}", world.said);
    world
}

#[test]
fn a_transfer_that_replaces_a_withdrawn_one_is_told() {
    holds_after(6, "a=9@1 | ~1 <1 b=8@1 | |");
}

#[test]
fn everything_of_a_deep_new_branch_is_told() {
    holds_after(20, "a=9@1 | b=9@1 |3 ~1 <4 c=8@1 | b |3");
}

#[test]
fn what_returns_after_its_old_height_is_final_is_back_on_chain() {
    let world = holds_after(6, "a=9@1 | ~1 <1 | |10 ~2 | ~1 a |");
    let back = world.said.iter().filter(|said| said.contains("Back on chain")).count();
    assert_eq!(back, 2, "{:#?}", world.said);
}

#[test]
fn what_returns_late_keeps_nothing_quiet_that_nobody_was_told() {
    holds_after(6, "a=9@1 | ~1 <1 | |10 ~2 | ~1 a b=8@1 |");
}

#[test]
fn a_moved_transfer_is_told_with_its_new_amount() {
    holds_after(6, "|2 a=9@1! | ~1 <1 | a |");
}

#[test]
fn a_moved_transfer_that_meets_the_rule_again_is_told_so() {
    holds_after(12, "|1 a=9@1! | ~1 <1 | a | |3 <5 |2 a |");
}

#[test]
fn what_a_cooldown_collected_is_corrected_too() {
    holds_after(30, "a=9@1 | b=8@1 | c=7@1 | ~12 <2 | c | d=6@1 |");
    holds_after(30, "a=9@1 | b=8@1 | ~12 <1 | |3 ~2 b | |");
    holds_after(30, "a=9@1 | b=8@1! | ~12 <1 | b |");
}

/// One step of a random history.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Submit {
        amount: u64,
        recipient: u8,
        fickle: bool,
    },
    Mine(u8),
    /// Depth, and which of the dropped transactions wait for the next block at once.
    Drop(usize, u8),
    DropAndRestore(usize),
    /// A transaction that was dropped earlier comes again.
    Return(usize),
    Wait(i64),
    Quiet,
    /// Other rules, where the world has some.
    Reload(usize),
    /// Time passes without a tick.
    Hours(i64),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_u64..12, 1_u8..4, any::<bool>())
            .prop_map(|(amount, recipient, fickle)| Step::Submit { amount, recipient, fickle }),
        8 => (1_u8..4).prop_map(Step::Mine),
        3 => (1_usize..11, any::<u8>()).prop_map(|(depth, kept)| Step::Drop(depth, kept)),
        1 => (1_usize..5).prop_map(Step::DropAndRestore),
        4 => (0_usize..50).prop_map(Step::Return),
        2 => (1_i64..15).prop_map(Step::Wait),
        1 => Just(Step::Quiet),
    ]
}

/// Plays a random history; the differences at the first quiet moment that has some.
pub(super) fn play(
    world: &mut World,
    steps: &[Step],
    differences: impl Fn(&World) -> Vec<String>,
) -> Vec<String> {
    let mut made = 0;
    let mut dropped: Vec<Transaction> = Vec::new();
    for step in steps {
        match step {
            Step::Submit { amount, recipient, fickle } => {
                made += 1;
                let (amount, recipient, fickle) = (*amount, *recipient, *fickle);
                world.pool.push(Transaction { hash: made, amount, recipient, fickle });
            }
            Step::Mine(count) => (0..*count).for_each(|_| world.mine()),
            Step::Drop(depth, kept) => {
                let newest = world.newest_transactions(*depth);
                for (index, transaction) in newest.iter().enumerate() {
                    if kept >> (index % 8) & 1 == 1 {
                        world.pool.push(*transaction);
                    }
                }
                dropped.extend(newest);
                world.drop_newest(*depth);
            }
            Step::DropAndRestore(depth) => world.drop_and_restore(*depth),
            Step::Return(index) if !dropped.is_empty() => {
                world.pool.push(dropped[index % dropped.len()]);
            }
            Step::Return(_) => {}
            Step::Wait(seconds) => world.wait(*seconds),
            Step::Reload(number) => world.reload(*number),
            Step::Hours(hours) => world.pass_hours(*hours),
            Step::Quiet => {
                world.be_quiet();
                let differences = differences(world);
                if !differences.is_empty() {
                    return differences;
                }
            }
        }
    }
    world.be_quiet();
    differences(world)
}

/// Fewer than usual, since each is long; `PROPTEST_CASES` says otherwise.
pub(super) fn cases(usual: u32) -> u32 {
    let named = std::env::var("PROPTEST_CASES").ok();
    named.and_then(|count| count.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(60), ..ProptestConfig::default() })]
    #[test]
    fn people_last_heard_what_the_chain_holds(
        finality in prop_oneof![2_u64..6, 12_u64..40],
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(finality);
        let differences = play(&mut world, &steps, World::differences);
        prop_assert!(differences.is_empty(), "{:#?}\nsaid: {:#?}", differences, world.said);
    }
}
