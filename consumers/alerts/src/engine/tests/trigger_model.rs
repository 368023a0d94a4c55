//! What people last heard of windows, sequences, absences, first events and conditions is what a plain look at the
//! canonical chain finds: under random reorganisations and restarts. A replay says the same.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    SECOND,
    model::{cases, play, step},
    world::World,
    *,
};
use crate::{condition::fields::hex_text, snapshot::in_memory::Memory};

const RULES: &str = r#"
[[rule]]
id = "sum"
on = "evm.*.transfer.erc20"
trigger = "window"
group_by = ["to"]
title = "{{ sum }} to {{ to }}"
[rule.window]
over = "30s"
every = "1s"
of = "value"
having = "sum >= 14.0"

[[rule]]
id = "held"
on = "evm.*.transfer.erc20"
trigger = "window"
for = "5s"
keep_firing_for = "3s"
group_by = ["to"]
title = "{{ sum }} to {{ to }}"
[rule.window]
over = "30s"
every = "1s"
of = "value"
having = "sum >= 14.0"

[[rule]]
id = "deep"
on = "evm.*.transfer.erc20"
when = 'value >= u256("6")'
finality = "confirmed"
confirmations = 2
title = "{{ value }} to {{ to }}"

[[rule]]
id = "level"
on = "evm.*.transfer.erc20"
when = 'value >= u256("8")'
resolve_when = 'value < u256("4")'
group_by = ["to"]
title = "{{ value }} to {{ to }}"

[[rule]]
id = "absence"
on = "evm.*.transfer.erc20"
trigger = "absence"
group_by = ["to"]
title = "nothing to {{ to }}"
[rule.absence]
for = "20s"

[[rule]]
id = "first"
on = "evm.*.transfer.erc20"
trigger = "first"
group_by = ["to"]
title = "{{ value }} to {{ to }}"
[rule.first]
over = "25s"

[[rule]]
id = "sequence"
on = "evm.*.transfer.erc20"
trigger = "sequence"
group_by = ["to"]
title = "{{ opening.value }} and {{ value }} to {{ to }}"
[rule.sequence]
within = "15s"
[[rule.sequence.step]]
when = 'value >= u256("6")'
[[rule.sequence.step]]
when = 'value < u256("6")'
"#;

/// A transfer that the chain holds.
struct Truth {
    transaction: B256,
    to: String,
    amount: u64,
    at_us: i64,
    /// Blocks on top of its own.
    depth: u64,
}

fn truth(world: &World) -> Vec<Truth> {
    let blocks = world.chain.iter();
    let head = world.chain.last().map_or(0, |block| block.number);
    blocks
        .flat_map(|block| {
            block.transactions.iter().map(|transaction| Truth {
                transaction: transaction.tx_hash(),
                to: hex_text(Address::repeat_byte(transaction.recipient).as_slice()),
                amount: transaction.amount_in(block.number),
                at_us: block.at_us,
                depth: head - block.number,
            })
        })
        .collect()
}

/// The payees for whom a condition is true now.
fn lasting(world: &World, rule: &str) -> BTreeSet<String> {
    let truth = truth(world);
    let now_us = world.play.now_us;
    let payees: BTreeSet<&String> = truth.iter().map(|transfer| &transfer.to).collect();
    let holds = |to: &String| {
        let mut own = truth.iter().filter(|transfer| transfer.to == *to);
        match rule {
            "sum" | "held" => {
                // It has been quiet for long enough that sums only fall.
                let kept = if rule == "held" { 3 } else { 0 };
                let first = now_us.div_euclid(SECOND) - 29 - kept;
                let recent = own.filter(|it| it.at_us.div_euclid(SECOND) >= first);
                recent.map(|transfer| transfer.amount).sum::<u64>() >= 14
            }
            "level" => {
                let decisive = |it: &&Truth| it.amount >= 8 || it.amount < 4;
                own.rfind(decisive).is_some_and(|transfer| transfer.amount >= 8)
            }
            _ => own.map(|it| it.at_us).max().is_some_and(|last| now_us - last >= 20 * SECOND),
        }
    };
    payees.into_iter().filter(|to| holds(to)).cloned().collect()
}

/// The transactions that a rule over events tells of.
fn events(world: &World, rule: &str) -> BTreeSet<B256> {
    let truth = truth(world);
    let holds = |place: usize| {
        let transfer = &truth[place];
        let mut before = truth[..place].iter().filter(|other| other.to == transfer.to);
        let within = |other: &Truth, seconds: i64| transfer.at_us - other.at_us <= seconds * SECOND;
        match rule {
            "deep" => transfer.amount >= 6 && transfer.depth >= 2,
            "first" => before
                .all(|other| !within(other, 25) || transfer.at_us - other.at_us == 25 * SECOND),
            _ => transfer.amount < 6 && before.any(|other| other.amount >= 6 && within(other, 15)),
        }
    };
    (0..truth.len()).filter(|place| holds(*place)).map(|place| truth[place].transaction).collect()
}

fn differences(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let believed = |rule: &str| {
        let of_rule = |belief: &&world::Belief| belief.rule == rule;
        let beliefs = world.beliefs.values().filter(of_rule);
        beliefs.filter(|belief| !belief.gone && belief.meets_rule).cloned().collect::<Vec<_>>()
    };
    for rule in ["sum", "held", "level", "absence"] {
        let beliefs = believed(rule);
        let told: Vec<String> = beliefs
            .iter()
            .map(|belief| belief.title.rsplit(' ').next().unwrap_or_default().to_owned())
            .collect();
        assert!(beliefs.iter().all(|belief| belief.ongoing));
        let set: BTreeSet<String> = told.iter().cloned().collect();
        let expected = lasting(world, rule);
        if set != expected || set.len() != told.len() {
            found.push(format!("{rule}: people believe {told:?}, it is {expected:?}"));
        }
    }
    for rule in ["first", "sequence", "deep"] {
        let told: Vec<B256> = believed(rule).iter().filter_map(|it| it.transaction).collect();
        let set: BTreeSet<B256> = told.iter().copied().collect();
        let expected = events(world, rule);
        if set != expected || set.len() != told.len() {
            found.push(format!("{rule}: people believe {told:?}, it is {expected:?}"));
        }
    }
    found
}

/// The alerts of a fresh engine that reads the same messages.
fn replay(world: &World) -> Vec<Alert> {
    let mut fresh = Play::new(RULES);
    for (now_us, subject, body) in &world.play.messages {
        fresh.now_us = *now_us;
        fresh.feed_body(subject, body.clone()).unwrap();
    }
    fresh.take()
}

fn holds_after(finality: u64, plan: &str) {
    let mut world = World::with_rules(RULES, finality);
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
    ] {
        holds_after(6, plan);
        holds_after(40, plan);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(20), ..ProptestConfig::default() })]
    #[test]
    fn what_people_last_heard_is_what_the_chain_holds(
        steps in prop::collection::vec(step(), 1..40),
        finality in prop_oneof![Just(3_u64), 6_u64..40],
        stride in 3_u64..40,
    ) {
        let mut world = World::with_rules(RULES, finality);
        world.restarts = Some((stride, Memory::new()));
        let found = play(&mut world, &steps, differences);
        prop_assert!(found.is_empty(), "{:#?}\nsaid: {:#?}", found, world.said);
        prop_assert_eq!(replay(&world), world.alerts);
    }
}
