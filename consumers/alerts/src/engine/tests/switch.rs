//! Rules that change in the middle of a stream.

use super::*;

#[test]
fn a_rule_that_stays_keeps_its_cooldown_and_its_corrections() {
    let cool = RULE.to_owned() + "cooldown = '1m'\n";
    let mut play = Play::new(&cool);
    play.block(1, 1, 1, &[(1, 0xa, 100)]);
    play.take();
    let louder = cool.replace("severity = \"warning\"", "severity = \"critical\"");
    play.switch(&louder);
    play.block(2, 2, 1, &[(2, 0xa, 200)]);
    assert_eq!(play.take(), [], "the cooldown goes on");
    // What was told before is corrected, and what is told now has the new severity.
    play.block(2, 2, 2, &[(2, 0xa, 200)]);
    play.block(1, 1, 2, &[(1, 0xa, 100)]);
    (1..=4).for_each(|number| play.marker(number, 0x10 + number as u8, 1));
    assert_eq!(play.said(), ["corrected 2 No longer on chain: block 1 was replaced."]);
    play.now_us += 120 * SECOND;
    play.tick();
    play.block(5, 5, 1, &[(3, 0xb, 100)]);
    assert_eq!(play.take()[0].severity, crypto_intel_schemas::Severity::Critical);
}

#[test]
fn what_the_cooldown_of_a_rule_that_goes_collected_is_told_at_once() {
    let mut play = Play::new(&(RULE.to_owned() + "cooldown = '1m'\n"));
    play.block(1, 1, 1, &[(1, 0xa, 100), (2, 0xa, 200)]);
    assert_eq!(play.take().len(), 1);
    let other = RULE.replace("\"large\"", "\"other\"");
    play.switch(&other);
    let told = play.take();
    assert_eq!((told.len(), told[0].rule.as_str()), (1, "large"));
    assert!(told[0].title.starts_with("1 more"), "{}", told[0].title);
    play.block(2, 2, 1, &[(3, 0xa, 100)]);
    assert_eq!(play.take()[0].rule, "other");
}
