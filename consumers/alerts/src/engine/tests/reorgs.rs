//! What people are told when blocks are replaced.

use super::*;

#[test]
fn a_transaction_that_moves_is_told_once_the_new_branch_is_as_high() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.block(11, 0x11, 1, &[(2, 0xb, 100)]);
    play.take();
    play.block(11, 0x11, 2, &[(2, 0xb, 100)]);
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.block(10, 0x20, 1, &[]);
    assert_eq!(play.said(), [""; 0], "it may still come back in block 11");
    play.block(11, 0x21, 1, &[(1, 0xa, 100)]);
    assert_eq!(
        play.said(),
        ["corrected 2 Moved to block 11 after a reorganisation, was in block 10."]
    );
    play.block(12, 0x22, 1, &[]);
    assert_eq!(play.said(), [""; 0], "the other may come back as well");
    play.block(13, 0x23, 1, &[]);
    assert_eq!(play.said(), ["corrected 2 No longer on chain: block 11 was replaced."]);
}

#[test]
fn a_transaction_that_comes_back_a_block_higher_is_told_in_one_message() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.take();
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.block(10, 0x20, 1, &[]);
    for number in 11..20 {
        let moved: &[Moved] = if number == 11 { &[(1, 0xa, 100)] } else { &[] };
        play.block(number, number as u8, 1, moved);
    }
    assert_eq!(
        play.said(),
        ["corrected 2 Moved to block 11 after a reorganisation, was in block 10."]
    );
}

#[test]
fn nothing_is_told_where_a_reorganisation_changes_nothing_that_people_read() {
    let mut play = Play::new(&RULE.replace(
        "lines = [",
        "lines = [\"block {{ block_number }} at {{ block_time_us|time }}\", ",
    ));
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.take();
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.now_us += 5 * SECOND;
    play.block(10, 0x20, 1, &[(2, 0xb, 5), (1, 0xa, 100)]);
    (11..20).for_each(|number| play.block(number, number as u8, 1, &[]));
    assert_eq!(play.said(), [""; 0]);
}

#[test]
fn a_block_that_returns_needs_no_correction() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.take();
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.block(10, 0x10, 3, &[(1, 0xa, 100)]);
    play.block(11, 0x11, 1, &[]);
    assert_eq!(play.said(), [""; 0]);
}

#[test]
fn what_was_taken_back_and_returns_is_told_and_nothing_is_told_twice() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    (10..=12).for_each(|number| play.block(number, 0x10 + number as u8, 1, &[]));
    play.block(13, 0x23, 1, &[(1, 0xa, 100)]);
    play.block(14, 0x24, 1, &[]);
    assert_eq!(
        play.said(),
        [
            "fired 1 from 0x0a0a…0a0a",
            "corrected 2 No longer on chain: block 10 was replaced.",
            "corrected 3 Back on chain, in block 13.",
        ]
    );
}

#[test]
fn a_moved_transaction_is_told_with_what_it_says_now() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 200)]);
    play.block(10, 0x10, 2, &[(1, 0xa, 200)]);
    play.take();
    play.block(10, 0x20, 1, &[(1, 0xa, 50)]);
    let corrected = play.take();
    assert_eq!(corrected[0].title, "50 of a token");
    assert_eq!(
        corrected[0].lines,
        [
            "Changed by a reorganisation, in block 10.",
            "It no longer meets the rule.",
            "It was: 200 of a token",
            "from 0x0a0a…0a0a",
        ]
    );
    play.block(10, 0x20, 2, &[(1, 0xa, 50)]);
    play.block(10, 0x30, 1, &[]);
    play.block(11, 0x31, 1, &[(1, 0xa, 150)]);
    let corrected = play.take();
    assert_eq!(corrected[0].title, "150 of a token");
    assert_eq!(corrected[0].lines[1], "It meets the rule again.");
}

#[test]
fn an_alert_that_lost_its_block_keeps_nothing_quiet() {
    let mut play = Play::new(&(RULE.to_owned() + "cooldown = '1h'\n"));
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.take();
    play.block(10, 0x20, 1, &[(2, 0xb, 100)]);
    assert_eq!(play.take().len(), 1, "another transaction in the block's place");
    play.block(11, 0x21, 1, &[(1, 0xa, 100), (3, 0xb, 100)]);
    assert_eq!(
        play.said(),
        ["corrected 2 Moved to block 11 after a reorganisation, was in block 10."],
        "the third is held back"
    );
}

#[test]
fn removals_that_were_lost_are_known_by_what_replaces_them() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.block(11, 0x11, 1, &[(2, 0xb, 100)]);
    play.take();
    (10..14).for_each(|number| play.block(number, 0x20 + number as u8, 1, &[]));
    let said = play.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|said| said.contains("No longer on chain")), "{said:?}");
}

#[test]
fn a_block_that_returns_counts_whatever_its_incarnation() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    (11..15).for_each(|number| play.block(number, number as u8, 1, &[]));
    assert_eq!(play.said(), ["fired 1 from 0x0a0a…0a0a"]);
}

#[test]
fn people_are_told_where_alerts_can_no_longer_be_corrected() {
    let mut play = Play::new(&RULE.replace("100", "1"));
    for number in 1..=3_u64 {
        for batch in 0..5 {
            let moved: Vec<Moved> =
                (0..100).map(|place| (number as u8, batch, 100 + place)).collect();
            play.events(number, number as u8, 1, &moved);
        }
        play.marker(number, number as u8, 1);
    }
    play.take();
    (1..=3_u64).rev().for_each(|number| play.marker(number, number as u8, 2));
    (1..=5).for_each(|number| play.marker(number, 0x40 + number as u8, 1));
    let told = play.take();
    let (gone, notices): (Vec<&Alert>, Vec<&Alert>) =
        told.iter().partition(|alert| alert.state == AlertState::Corrected);
    assert_eq!(gone.len(), 1_000);
    let numbers: Vec<u64> = notices.iter().filter_map(|alert| alert.block_number).collect();
    assert_eq!(numbers, [1]);
    assert_eq!(notices[0].title, "Some alerts of block 1 on base can no longer be corrected");
    assert!(notices[0].lines[0].contains("500 of this rule's alerts"), "{:?}", notices[0].lines);
}

#[test]
fn a_reorg_that_brings_no_blocks_is_told_after_a_while() {
    let mut play = Play::new(RULE);
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    play.block(10, 0x10, 2, &[(1, 0xa, 100)]);
    play.take();
    play.now_us += 119 * SECOND;
    play.tick();
    assert_eq!(play.said(), [""; 0]);
    play.now_us += SECOND;
    play.tick();
    assert_eq!(play.said(), ["corrected 2 No longer on chain: block 10 was replaced."]);
}

#[test]
fn alerts_of_final_blocks_and_past_cooldowns_are_forgotten() {
    let mut play = Play::new(&(RULE.to_owned() + "cooldown = '1m'\nmax_event_age = '1m'\n"));
    play.block(10, 0x10, 1, &[(1, 0xa, 100)]);
    assert_eq!(play.engine.state().chains["base"].sent_alerts.len(), 1);
    play.now_us += 121 * SECOND;
    play.block(74, 0x11, 1, &[]);
    play.tick();
    assert_eq!(play.engine.state().chains["base"].sent_alerts.len(), 0);
    assert!(play.engine.state().groups.is_empty());
}
