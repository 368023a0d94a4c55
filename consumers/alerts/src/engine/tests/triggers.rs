//! Windows, sequences, absences, first events and conditions that last.

use super::*;
use crate::snapshot::in_memory::Memory;

/// State, number and title of what was said.
fn told(play: &mut Play) -> Vec<String> {
    let told = |alert: &Alert| format!("{} {} {}", alert.state.as_str(), alert.n, alert.title);
    play.take().iter().map(told).collect()
}

/// One block a second, each with one transfer of these amounts to payee 0xa.
fn pay(play: &mut Play, number: u64, amounts: &[u64]) {
    let moved: Vec<Moved> = amounts
        .iter()
        .enumerate()
        .map(|(index, amount)| ((number * 16) as u8 + index as u8, 0xa, *amount))
        .collect();
    play.block(number, number as u8, 1, &moved);
}

fn pass(play: &mut Play, seconds: i64) {
    for _ in 0..seconds {
        play.now_us += SECOND;
        play.tick();
    }
}

fn price(play: &mut Play, asset: &str, value: &str) {
    let now_us = play.now_us;
    play.feed(Price {
        id: format!("t:price:{asset}:{now_us}"),
        asset: asset.into(),
        price: Decimal::parse(value).unwrap(),
        ..Price::at("t", now_us, now_us)
    });
}

fn market_tick(play: &mut Play) {
    let now_us = play.now_us;
    play.feed(Tick { stream: "market".into(), ..Tick::at("alerts", now_us, now_us) });
}

const SUM: &str = r#"
[[rule]]
id = "sum"
on = "evm.*.transfer.erc20"
trigger = "window"
group_by = ["chain", "from"]
title = "{{ from|short }} moved {{ sum|num }} in {{ count }} transfers"
resolved_title = "{{ from|short }} is calm: {{ sum|num }}"
resolved_lines = ["{{ count }} transfers"]
routes = ["ops"]
[rule.window]
over = "1m"
every = "1s"
of = "value"
having = "sum >= 100.0"
"#;

#[test]
fn a_window_fires_once_and_ends_once() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[60]);
    assert_eq!(told(&mut play), [""; 0]);
    pass(&mut play, 10);
    pay(&mut play, 2, &[40, 5]);
    let fired = play.take();
    let [alert] = fired.as_slice() else { panic!("{fired:?}") };
    assert_eq!(alert.title, "0x0a0a…0a0a moved 100 in 2 transfers");
    assert!(alert.ongoing && alert.chain.as_deref() == Some("base") && alert.routes == ["ops"]);
    pass(&mut play, 49);
    assert_eq!(told(&mut play), [""; 0], "the first is still in the window");
    pass(&mut play, 1);
    let ended = play.take();
    assert_eq!((ended[0].title.as_str(), ended[0].n), ("0x0a0a…0a0a is calm: 45", 2));
    assert_eq!((&ended[0].alert, ended[0].state), (&alert.alert, AlertState::Resolved));
    assert_eq!(ended[0].lines, ["2 transfers"]);
    pass(&mut play, 60);
    assert_eq!(told(&mut play), [""; 0]);
    play.block(80, 80, 1, &[]);
    pass(&mut play, 60);
    assert!(play.engine.state().triggers.is_empty(), "nothing is remembered of an empty window");
}

#[test]
fn a_tumbling_window_begins_again_at_its_end() {
    let rules = SUM.replace("every = \"1s\"", "kind = \"tumbling\"");
    let mut play = Play::new(&rules);
    play.now_us = START - START % (60 * SECOND) + 50 * SECOND;
    pay(&mut play, 1, &[60]);
    pass(&mut play, 10);
    pay(&mut play, 2, &[60]);
    assert_eq!(told(&mut play), [""; 0], "they are in different minutes");
    pay(&mut play, 3, &[60]);
    assert_eq!(told(&mut play).len(), 1);
    pass(&mut play, 59);
    assert_eq!(told(&mut play), [""; 0]);
    pass(&mut play, 1);
    assert_eq!(told(&mut play), ["resolved 2 0x0a0a…0a0a is calm: ?"]);
}

#[test]
fn what_a_block_added_to_a_window_leaves_with_the_block() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[60]);
    pay(&mut play, 2, &[50]);
    assert_eq!(told(&mut play).len(), 1);
    play.block(2, 2, 2, &[]);
    assert_eq!(told(&mut play), [""; 0], "the new branch may have it, too");
    play.block(2, 0x20, 1, &[]);
    play.block(3, 0x30, 1, &[]);
    assert_eq!(told(&mut play), [""; 0]);
    play.block(4, 0x40, 1, &[]);
    let ended = play.take();
    assert_eq!(ended[0].title, "0x0a0a…0a0a is calm: 60");
    assert_eq!(ended[0].lines[1], "Blocks were replaced by a reorganisation.");
    play.block(5, 0x50, 1, &[(9, 0xa, 40)]);
    let again = play.take();
    assert_eq!((again[0].n, again.len()), (1, 1));
    assert_ne!(again[0].alert, ended[0].alert, "it is another alert");
}

#[test]
fn a_window_that_a_reorganisation_leaves_true_says_nothing() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[120]);
    assert_eq!(told(&mut play).len(), 1);
    play.block(1, 1, 2, &[]);
    pass(&mut play, 3);
    for number in 1..6 {
        let moved: &[Moved] = if number == 2 { &[(16, 0xa, 120)] } else { &[] };
        play.block(number, 0x60 + number as u8, 1, moved);
    }
    assert_eq!(told(&mut play), [""; 0]);
}

#[test]
fn values_of_a_window_are_exact_and_those_that_are_unknown_say_so() {
    let rules = r#"
        [[rule]]
        id = "w"
        on = "market.price.*"
        trigger = "window"
        group_by = ["asset"]
        title = "{{ count }} {{ sum }} {{ min }} {{ max }} {{ mean }} {{ p50 }} {{ distinct }} {{ change }} {{ change_percent }}"
        [rule.window]
        over = "1h"
        of = "price"
        distinct = "source"
        having = "count > 0 && p50 > 0.0 && distinct > 0"
        keep = 1
    "#;
    let problems = RuleSet::parse(&[("t.toml", rules)], None).expect_err("an unknown key");
    assert!(problems[0].to_string().contains("unknown field `keep`"), "{}", problems[0]);
    let rules = rules.replace("keep = 1", "").replace("count > 0", "count > 2");
    let mut play = Play::new(&rules);
    for value in ["0.1", "0.2", "0.6"] {
        play.now_us += SECOND;
        price(&mut play, "btc", value);
    }
    assert_eq!(told(&mut play), ["fired 1 3 0.9 0.1 0.6 0.3 0.2 1 0.5 500"]);
    let once = rules.replace("count > 2", "count > 0");
    let mut play = Play::new(&once);
    price(&mut play, "btc", "5");
    assert_eq!(told(&mut play), ["fired 1 1 5 5 5 5 5 1 ? ?"], "one value is no change");
}

#[test]
fn a_change_over_a_period_is_told_and_its_end() {
    let rules = r#"
        [[rule]]
        id = "move"
        on = "market.price.*"
        trigger = "window"
        group_by = ["asset"]
        title = "{{ asset }} {{ change_percent|num(1) }} %"
        resolve_when = "change_percent < 5.0 && change_percent > -5.0"
        [rule.window]
        over = "1h"
        every = "1m"
        of = "price"
        having = "change_percent >= 10.0 || change_percent <= -10.0"
    "#;
    let mut play = Play::new(rules);
    for value in ["100", "105", "111", "107", "104"] {
        price(&mut play, "btc", value);
        play.now_us += 60 * SECOND;
    }
    assert_eq!(told(&mut play), ["fired 1 btc 11 %", "resolved 2 Ended: btc 11 %"]);
}

#[test]
fn a_baseline_is_silent_until_it_knows_enough() {
    let rules = r#"
        [[rule]]
        id = "busy"
        on = "market.price.*"
        trigger = "window"
        title = "{{ count }} against {{ baseline }}: {{ ratio }}"
        [rule.window]
        over = "1h"
        every = "1m"
        baseline = "24h mean"
        having = "ratio >= 2.0"
    "#;
    let mut play = Play::new(rules);
    play.now_us = START - START % (3_600 * SECOND);
    let hour = |play: &mut Play, values: i64| {
        for _ in 0..values {
            price(play, "btc", "1");
            play.now_us += 3_600 / values * SECOND;
        }
        market_tick(play);
    };
    for _ in 0..10 {
        hour(&mut play, 2);
    }
    hour(&mut play, 20);
    assert_eq!(told(&mut play), [""; 0], "ten hours are too few");
    for _ in 0..14 {
        hour(&mut play, 2);
    }
    hour(&mut play, 12);
    let told = told(&mut play);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("fired 1 "), "{told:?}");
}

const SEQUENCE: &str = r#"
[[rule]]
id = "in-out"
on = "evm.*.transfer.erc20"
trigger = "sequence"
group_by = ["to"]
title = "{{ opening.value }} came and {{ value }} went after {{ elapsed_seconds }} s"
[rule.sequence]
within = "30s"
[[rule.sequence.step]]
when = 'value >= u256("100")'
[[rule.sequence.step]]
when = 'value >= u256("100")'
group_by = ["from"]
"#;

fn transfer(play: &mut Play, number: u64, hash: u8, incarnation: u32, moved: &[(u8, u8, u8, u64)]) {
    for (log_index, (transaction, from, to, amount)) in moved.iter().enumerate() {
        let block_hash = B256::repeat_byte(hash);
        play.feed(Erc20Transfer {
            id: log_event_id("base", &block_hash, Kind::Erc20Transfer, log_index as u32, None),
            chain: "base".into(),
            event_at_us: play.now_us,
            block_number: number,
            block_hash,
            removed: incarnation.is_multiple_of(2),
            incarnation,
            tx_hash: B256::repeat_byte(*transaction),
            log_index: log_index as u32,
            from: Address::repeat_byte(*from),
            to: Address::repeat_byte(*to),
            value: Uint256(U256::from(*amount)),
            ..Erc20Transfer::empty()
        });
    }
    play.marker(number, hash, incarnation);
}

#[test]
fn a_sequence_needs_its_steps_in_order_and_in_time() {
    let mut play = Play::new(SEQUENCE);
    transfer(&mut play, 1, 1, 1, &[(1, 9, 5, 150), (2, 6, 9, 300)]);
    assert_eq!(told(&mut play), [""; 0], "what came to 5 did not leave from 6");
    pass(&mut play, 10);
    transfer(&mut play, 2, 2, 1, &[(3, 5, 7, 120)]);
    let fired = play.take();
    assert_eq!(fired[0].title, "150 came and 120 went after 10 s", "{fired:?}");
    pass(&mut play, 21);
    transfer(&mut play, 3, 3, 1, &[(4, 5, 8, 120)]);
    assert_eq!(told(&mut play), [""; 0], "31 seconds later");
    pass(&mut play, 60);
    assert!(play.engine.state().triggers.iter().all(|(.., group)| group.blocks().count() > 0));
}

#[test]
fn a_sequence_is_corrected_as_any_event_is() {
    let mut play = Play::new(SEQUENCE);
    transfer(&mut play, 1, 1, 1, &[(1, 9, 5, 150)]);
    transfer(&mut play, 2, 2, 1, &[(3, 5, 7, 120)]);
    assert_eq!(told(&mut play).len(), 1);
    play.block(2, 2, 2, &[]);
    play.block(1, 1, 2, &[]);
    transfer(&mut play, 1, 0x11, 1, &[]);
    transfer(&mut play, 2, 0x12, 1, &[(3, 5, 7, 120)]);
    transfer(&mut play, 3, 0x13, 1, &[]);
    transfer(&mut play, 4, 0x14, 1, &[]);
    let said = play.said();
    assert_eq!(said, ["corrected 2 Changed by a reorganisation, in block 2."], "{said:?}");
}

#[test]
fn a_first_event_is_told_once_per_key_and_period() {
    let rules = r#"
        [[rule]]
        id = "new"
        on = "evm.*.transfer.erc20"
        trigger = "first"
        group_by = ["from"]
        title = "{{ from|short }}"
        [rule.first]
        over = "1h"
    "#;
    let mut play = Play::new(rules);
    play.block(1, 1, 1, &[(1, 0xa, 1), (2, 0xa, 2), (3, 0xb, 1)]);
    assert_eq!(told(&mut play), ["fired 1 0x0a0a…0a0a", "fired 1 0x0b0b…0b0b"]);
    play.now_us += 1_800 * SECOND;
    play.block(2, 2, 1, &[(4, 0xa, 1)]);
    assert_eq!(told(&mut play), [""; 0]);
    // The block of the first one is replaced, and the second is the first now.
    play.block(2, 2, 2, &[]);
    play.block(1, 1, 2, &[]);
    play.block(1, 0x11, 1, &[(4, 0xa, 1)]);
    play.block(2, 0x12, 1, &[(1, 0xa, 1), (3, 0xb, 1)]);
    let first: Vec<String> = told(&mut play);
    assert!(first.contains(&"fired 1 0x0a0a…0a0a".to_owned()), "{first:?}");
    (3..6).for_each(|number| play.block(number, 0x10 + number as u8, 1, &[]));
    let said = [first, told(&mut play)].concat();
    assert!(said.iter().any(|said| said.starts_with("corrected 2")), "{said:?}");
}

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

const DEPEG: &str = r#"
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
fn a_rule_that_changes_ends_what_it_told() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[120]);
    assert_eq!(told(&mut play).len(), 1);
    let (state, _) = Memory::new().restart(play.engine.state_mut());
    for changed in [SUM.replace("over = \"1m\"", "over = \"2m\""), RULE.to_owned()] {
        let rules = RuleSet::parse(&[("t.toml", changed.as_str())], None).unwrap();
        let metrics = Metrics::new(&Registry::new()).unwrap();
        play.engine = Engine::with_state(Arc::new(rules), RuleStream::Evm, &metrics, state.clone());
        play.tick();
        let ended = play.take();
        assert_eq!((ended.len(), ended[0].state), (1, AlertState::Resolved));
        assert_eq!(ended[0].lines, ["The rule was changed or removed, or its stream recreated."]);
    }
    let rules = SUM.replace("sum >= 100.0", "sum >= 90.0");
    let rules = RuleSet::parse(&[("t.toml", rules.as_str())], None).unwrap();
    play.engine = Engine::with_state(Arc::new(rules), RuleStream::Evm, &play.metrics, state);
    play.tick();
    assert_eq!(told(&mut play), [""; 0], "another threshold keeps its window");
}

#[test]
fn events_that_came_twice_or_too_late_are_not_counted_again() {
    let rules = DEPEG
        .replace(
            "for = \"60s\"\nkeep_firing_for = \"30s\"\nresolve_when = \"price >= 0.995\"\n",
            "",
        )
        .replace("when = 'asset == \"usdc\" && price < 0.99'", "trigger = \"window\"")
        .replace("{{ price }}", "{{ count }}")
        + "[rule.window]\nover = \"1m\"\nhaving = \"count >= 2\"\n";
    let mut play = Play::new(&rules);
    price(&mut play, "usdc", "1");
    price(&mut play, "usdc", "1");
    assert_eq!(told(&mut play), [""; 0]);
    let (late_us, now_us) = (play.now_us - 61 * SECOND, play.now_us);
    play.now_us = late_us;
    let id = "t:price:usdc:late";
    let late = Price { id: id.into(), asset: "usdc".into(), ..Price::at("t", late_us, late_us) };
    play.now_us = now_us;
    play.feed(late);
    assert_eq!((told(&mut play).len(), play.engine.metrics[0].late.get()), (0, 1));
}

#[test]
fn what_was_told_is_ended_when_its_stream_is_recreated() {
    let mut play = Play::new(SUM);
    pay(&mut play, 1, &[120]);
    let fired = play.take();
    play.engine.reset();
    play.tick();
    let ended = play.take();
    assert_eq!((ended.len(), ended[0].state), (1, AlertState::Resolved));
    assert_eq!(ended[0].alert, fired[0].alert);
}
