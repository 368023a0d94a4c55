//! What people last heard of windows, sequences, absences, first events and conditions is what a plain look at the
//! canonical chain finds: under random reorganisations, restarts, and changes of the rules. A replay says the same.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    model::{Step, cases, play, step},
    rule_specs::{Spec, Tells, spec},
    world::{Belief, World, text_of},
    *,
};
use crate::snapshot::in_memory::Memory;

const RULES: &[Spec] = &[
    spec("sum", Tells::Sum, 30, 14),
    spec("held", Tells::Held, 30, 14),
    spec("median", Tells::Median, 30, 6),
    spec("spread", Tells::Spread, 30, 3),
    spec("deep", Tells::Deep, 0, 6),
    spec("level", Tells::Level, 0, 8),
    spec("absence", Tells::Absence, 20, 0),
    spec("first", Tells::First, 25, 0),
    spec("sequence", Tells::Sequence, 15, 6),
];

/// What they are changed to: other lengths and limits, other names, fewer rules, more of them, another kind of trigger.
const CHANGED: &[&[Spec]] = &[
    RULES,
    &[
        spec("sum", Tells::Sum, 20, 14),
        spec("held", Tells::Held, 30, 10),
        spec("median", Tells::Median, 30, 4),
        spec("deep", Tells::Deep, 0, 6),
        spec("level", Tells::Level, 0, 8),
        spec("absence", Tells::Absence, 30, 0),
        spec("first", Tells::First, 25, 0),
        spec("sequence", Tells::Sequence, 15, 8),
    ],
    &[
        spec("more", Tells::Sum, 30, 5),
        spec("spread", Tells::Spread, 30, 2),
        spec("median", Tells::Median, 15, 6),
        spec("sum", Tells::Sum, 30, 9),
        spec("level-again", Tells::Level, 0, 8),
        spec("absence", Tells::Absence, 20, 0),
        spec("first-again", Tells::First, 25, 0),
        spec("deep-again", Tells::Deep, 0, 6),
        spec("held", Tells::Sum, 30, 14),
        spec("sequence", Tells::Sequence, 15, 6),
    ],
    &[spec("deep", Tells::Deep, 0, 6), spec("sum", Tells::Median, 30, 6)],
];

/// Over hours, where only values of windows are compared.
const UNUSUAL: &[&[Spec]] = &[
    &[spec("unusual", Tells::Unusual, 3_600, 2), spec("spread", Tells::Spread, 3_600, 3)],
    &[spec("unusual", Tells::Unusual, 7_200, 2), spec("spread", Tells::Spread, 7_200, 2)],
    &[spec("unusual", Tells::Unusual, 3_600, 4), spec("usual", Tells::Unusual, 3_600, 1)],
];

fn differences(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let on_chain: BTreeSet<B256> = world
        .chain
        .iter()
        .flat_map(|block| block.transactions.iter().map(|transaction| transaction.tx_hash()))
        .collect();
    let believed = |id: &str| {
        let beliefs = world.beliefs.values().filter(|belief| belief.rule == id);
        beliefs.filter(|belief| !belief.gone && belief.meets_rule).collect::<Vec<&Belief>>()
    };
    for belief in world.beliefs.values().filter(|belief| !belief.gone) {
        let is_known = world.in_force.iter().any(|(spec, _)| spec.id == belief.rule);
        // What a rule told of events is corrected though it is gone, and what it told of a condition has ended.
        let is_true = match belief.transaction.filter(|_| !belief.ongoing) {
            Some(transaction) => on_chain.contains(&transaction),
            None => is_known,
        };
        if !is_true {
            found.push(format!("{}: people believe {belief:?}", belief.rule));
        }
    }
    for (spec, since) in &world.in_force {
        let beliefs = believed(spec.id);
        if spec.is_lasting() {
            let lasting = beliefs.iter().filter(|belief| belief.ongoing);
            let told: Vec<&str> =
                lasting.map(|it| it.title.rsplit(' ').next().unwrap_or_default()).collect();
            let set: BTreeSet<String> = told.iter().map(|it| (*it).to_owned()).collect();
            let expected = spec.lasting(world, *since);
            if set != expected || set.len() != told.len() {
                found.push(format!("{spec:?}: people believe {told:?}, it is {expected:?}"));
            }
            continue;
        }
        let told: Vec<B256> = beliefs.iter().filter_map(|it| it.transaction).collect();
        let (must, may) = spec.events(world, *since);
        let set: BTreeSet<B256> = told.iter().copied().collect();
        let heard: BTreeSet<B256> = set.difference(&may).copied().collect();
        if heard != must || set.len() != told.len() {
            found.push(format!("{spec:?}: people believe {told:?}, it is {must:?} and {may:?}"));
        }
    }
    found
}

/// The alerts of a fresh engine that reads the same messages and takes the same rules.
fn replay(world: &World) -> Vec<Alert> {
    let mut fresh = Play::new(&text_of(&world.sets[0]));
    let mut reloads = world.reloads.iter().peekable();
    for (now_us, subject, body) in &world.play.messages {
        fresh.now_us = *now_us;
        fresh.feed_body(subject, body.clone()).unwrap();
        while let Some((_, number)) = reloads.next_if(|(after, _)| *after == fresh.sequence) {
            fresh.switch(&text_of(&world.sets[*number]));
        }
    }
    fresh.take()
}

fn holds_after(sets: &[&[Spec]], finality: u64, plan: &str) {
    let mut world = World::with_sets(sets, finality);
    world.run(plan);
    world.be_quiet();
    let found = differences(&world);
    assert!(found.is_empty(), "{plan}: {found:#?}\nsaid: {:#?}", world.said);
}

#[test]
fn small_plans_hold() {
    for plan in [
        "a=9@1 |",
        "a=9@1 | b=7@1 | <1 |",
        "a=9@1 | <1 | a |",
        "a=9@1 | ~3 b=2@1 | <2 b | a |",
        "a=9@1 | ~40 b=3@1 | <1 ~5 |",
        "a=9@1 | ~26 b=5@1 | <1 | b c=3@1 | |3 <2 |",
        "a=9@1 b=9@1 | %1 c=9@1 | <1 %2 | b |",
        "a=9@1 b=9@1 | <1 %3 b | %0 |",
        "a=9@1 | ~25 %1 ~1",
    ] {
        holds_after(CHANGED, 6, plan);
        holds_after(CHANGED, 40, plan);
    }
}

#[test]
fn what_is_unusual_is_found_and_ends() {
    let mut world = World::with_sets(UNUSUAL, 40);
    let hours: Vec<String> = (0..14).map(|hour| format!("h{hour}=1@1 | ^1")).collect();
    world.run(&(hours.join(" ") + " a=1@1 b=1@1 c=1@1 |"));
    assert_eq!(world.said.len(), 1, "{:#?}", world.said);
    world.be_quiet();
    assert_eq!(differences(&world), [""; 0]);
    world.run("^2");
    world.be_quiet();
    assert_eq!((world.said.len(), differences(&world)), (2, Vec::new()), "{:#?}", world.said);
}

/// A step of a history in which rules change.
fn step_or_reload() -> impl Strategy<Value = Step> {
    prop_oneof![30 => step(), 3 => (0_usize..CHANGED.len()).prop_map(Step::Reload)]
}

/// A step of a history that takes days.
fn step_of_days() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => step(),
        10 => (1_i64..4).prop_map(Step::Hours),
        2 => (0_usize..UNUSUAL.len()).prop_map(Step::Reload),
    ]
}

fn check(world: &mut World, steps: &[Step], stride: u64) -> Result<(), TestCaseError> {
    world.restarts = Some((stride, Memory::new()));
    let found = play(world, steps, differences);
    prop_assert!(found.is_empty(), "{:#?}\nsaid: {:#?}", found, world.said);
    prop_assert_eq!(&replay(world), &world.alerts);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(20), ..ProptestConfig::default() })]
    #[test]
    fn what_people_last_heard_is_what_the_chain_holds(
        steps in prop::collection::vec(step(), 1..40),
        finality in prop_oneof![Just(3_u64), 6_u64..40],
        stride in 3_u64..40,
    ) {
        check(&mut World::with_sets(&[RULES], finality), &steps, stride)?;
    }

    #[test]
    fn and_still_is_when_rules_change(
        steps in prop::collection::vec(step_or_reload(), 1..40),
        finality in prop_oneof![Just(3_u64), 6_u64..40],
        stride in 3_u64..40,
    ) {
        check(&mut World::with_sets(CHANGED, finality), &steps, stride)?;
    }

    #[test]
    fn and_what_is_unusual_over_days(
        steps in prop::collection::vec(step_of_days(), 1..60),
        finality in prop_oneof![Just(3_u64), 6_u64..40],
        stride in 3_u64..40,
    ) {
        check(&mut World::with_sets(UNUSUAL, finality), &steps, stride)?;
    }
}
