//! Sequences, and first events.

use super::*;

pub(super) const SEQUENCE: &str = r#"
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

pub(super) fn transfer(
    play: &mut Play,
    number: u64,
    hash: u8,
    incarnation: u32,
    moved: &[(u8, u8, u8, u64)],
) {
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
