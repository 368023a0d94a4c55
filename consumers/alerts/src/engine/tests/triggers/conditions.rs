//! Absences, conditions over events, and rules that wait for confirmations.

use super::*;
use crate::snapshot::in_memory::Memory;

#[test]
fn an_absence_is_told_on_time_and_ends_with_the_next_event() {
    let rules = r#"
        [[rule]]
        id = "silent"
        on = "evm.*.block"
        trigger = "absence"
        group_by = ["chain"]
        title = "{{ chain }} is silent for {{ silent_seconds }} s"
        resolved_title = "{{ chain }} is back"
        [rule.absence]
        for = "30s"
        keys = ["base", "polygon"]
    "#;
    let mut play = Play::new(rules);
    play.tick();
    let block = |play: &mut Play, number: u64, incarnation: u32| {
        let now_us = play.now_us;
        let block_hash = B256::repeat_byte(number as u8);
        play.feed(Block {
            id: chain_event_id("base", &block_hash, Kind::Block),
            chain: "base".into(),
            event_at_us: now_us,
            block_number: number,
            block_hash,
            removed: incarnation.is_multiple_of(2),
            incarnation,
            finalized_number: 0,
            ..Block::empty()
        });
    };
    pass(&mut play, 10);
    block(&mut play, 1, 1);
    pass(&mut play, 20);
    assert_eq!(told(&mut play), ["fired 1 polygon is silent for 30 s"], "it was expected");
    pass(&mut play, 10);
    let fired = play.take();
    assert_eq!(fired[0].title, "base is silent for 30 s");
    assert!(fired[0].ongoing);
    pass(&mut play, 100);
    block(&mut play, 2, 1);
    assert_eq!(told(&mut play), ["resolved 2 base is back"]);
    // The only block for a while is taken back: what is silent since then is told when that is clear.
    pass(&mut play, 29);
    block(&mut play, 2, 2);
    pass(&mut play, 100);
    assert_eq!(told(&mut play), [""; 0]);
    pass(&mut play, 21);
    assert_eq!(told(&mut play).len(), 1, "after two minutes no new branch came");
}

pub(super) const DEPEG: &str = r#"
[[rule]]
id = "depeg"
on = "market.price.*"
when = 'asset == "usdc" && price < 0.99'
for = "60s"
keep_firing_for = "30s"
resolve_when = "price >= 0.995"
group_by = ["asset"]
title = "{{ asset }} at {{ price }}"
resolved_title = "{{ asset }} is back at {{ price }}"
"#;

#[test]
fn a_condition_over_events_waits_holds_on_and_ends_with_its_own_words() {
    let mut play = Play::new(DEPEG);
    let at = |play: &mut Play, seconds: i64, value: &str| {
        for _ in 0..seconds {
            play.now_us += SECOND;
            market_tick(play);
        }
        price(play, "usdc", value);
        price(play, "btc", "1");
    };
    at(&mut play, 0, "0.98");
    at(&mut play, 40, "0.999");
    at(&mut play, 40, "0.98");
    assert_eq!(told(&mut play), [""; 0], "a single tick is no depeg");
    at(&mut play, 59, "0.97");
    assert_eq!(told(&mut play), [""; 0]);
    at(&mut play, 1, "0.97");
    assert_eq!(told(&mut play), ["fired 1 usdc at 0.97"]);
    at(&mut play, 5, "0.992");
    at(&mut play, 5, "0.996");
    at(&mut play, 20, "0.98");
    at(&mut play, 40, "0.999");
    assert_eq!(told(&mut play), [""; 0], "it is kept for thirty seconds");
    at(&mut play, 30, "0.9991");
    assert_eq!(told(&mut play), ["resolved 2 usdc is back at 0.999"]);
}

#[test]
fn a_rule_that_waits_for_confirmations_hears_of_deep_blocks_only() {
    for (finality, deep) in
        [("finality = 'confirmed'\nconfirmations = 3\n", 3), ("finality = 'finalized'\n", 64)]
    {
        let mut play = Play::new(&(RULE.to_owned() + finality));
        play.block(1, 1, 1, &[(1, 0xa, 100)]);
        play.block(2, 2, 1, &[(2, 0xa, 200)]);
        play.block(2, 2, 2, &[]);
        let mut memory = Memory::new();
        for number in 2..=deep {
            play.block(number, 0x80 + number as u8, 1, &[]);
        }
        assert_eq!(told(&mut play), [""; 0]);
        let (state, _) = memory.restart(play.engine.state_mut());
        let rules = Arc::clone(&play.engine.rules);
        play.engine = Engine::with_state(rules, RuleStream::Evm, &play.metrics, state);
        play.block(deep + 1, 0x7f, 1, &[]);
        assert_eq!(told(&mut play), ["fired 1 100 of a token"], "the other one left before");
        assert!(play.engine.state().waiting.is_empty());
    }
}

#[test]
fn what_waits_in_a_block_that_another_one_replaces_is_dropped_with_it() {
    let mut play = Play::new(&(RULE.to_owned() + "finality = 'confirmed'\nconfirmations = 3\n"));
    play.block(1, 1, 1, &[(1, 0xa, 100)]);
    play.block(2, 2, 1, &[(2, 0xa, 200)]);
    // No marker said that block 2 left.
    play.block(2, 0x82, 1, &[(3, 0xa, 300)]);
    (3..9).for_each(|number| play.block(number, 0x80 + number as u8, 1, &[]));
    assert_eq!(told(&mut play), ["fired 1 100 of a token", "fired 1 300 of a token"]);
}

#[test]
fn a_rule_that_asks_for_two_operators_waits_for_the_second_or_for_finality() {
    let mut play = Play::new(&(RULE.to_owned() + "agreed = 2\n"));
    let block = |play: &mut Play, number: u64, announced: &[u64], finalized_number: u64| {
        let hash = 0x10 + number as u8;
        play.events(number, hash, 1, &[(number as u8, 0xa, 100 + number)]);
        let block_hash = B256::repeat_byte(hash);
        play.feed(Block {
            id: chain_event_id("base", &block_hash, Kind::Block),
            chain: "base".into(),
            block_number: number,
            block_hash,
            incarnation: 1,
            finalized_number,
            announced: announced.to_vec(),
            ..Block::empty()
        });
        told(play)
    };
    assert_eq!(block(&mut play, 1, &[1], 0), [""; 0], "one operator is not two");
    assert_eq!(block(&mut play, 2, &[2, 1], 0), ["fired 1 101 of a token"]);
    assert_eq!(
        block(&mut play, 3, &[3, 3, 2], 0),
        ["fired 1 102 of a token", "fired 1 103 of a token"]
    );
    // Of the second nothing is heard any more.
    assert_eq!(block(&mut play, 4, &[4], 0), [""; 0]);
    // A block that leaves before it is agreed on is never told.
    play.block(4, 0x14, 2, &[]);
    assert_eq!(block(&mut play, 4, &[4], 0), [""; 0]);
    assert_eq!(block(&mut play, 5, &[], 4), ["fired 1 104 of a token"], "what is final is agreed");
}
