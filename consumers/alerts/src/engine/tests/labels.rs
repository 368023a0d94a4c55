//! What routes and silences match.

use crypto_intel_schemas::Labels;

use super::*;

#[test]
fn an_alert_has_the_labels_of_its_rule_its_chain_and_its_group() {
    let rule = RULE.to_owned()
        + "labels = { team = 'desk' }\ngroup_by = ['from', 'symbol']\ncooldown = '10s'\n";
    let mut play = Play::new(&rule);
    play.block(1, 1, 1, &[(1, 0xa, 100), (2, 0xa, 200)]);
    play.now_us += 11 * SECOND;
    play.tick();
    let from = format!("0x{}", "0a".repeat(20));
    // A field that the event lacks is no label.
    let expected = Labels::from([("chain", "base"), ("from", &from), ("team", "desk")]);
    let alerts = play.take();
    assert_eq!(alerts.len(), 2, "one, and what its cooldown collected");
    assert!(alerts.iter().all(|alert| alert.labels == expected), "{alerts:?}");
}

#[test]
fn a_message_about_an_unpriced_event_says_so() {
    let rule = "[[rule]]\nid = 'r'\non = 'evm.*.transfer.erc20'\nwhen = 'usd > 1.0'\ntitle = 'moved {{ usd|usd }}'\n";
    let titles = |unpriced: &str| {
        let mut play = Play::new(&(rule.to_owned() + unpriced));
        play.block(1, 1, 1, &[(1, 0xa, 100)]);
        let skipped = play.metrics.rule("r").unpriced.get();
        (play.take().into_iter().map(|alert| alert.title).collect::<Vec<_>>(), skipped)
    };
    assert_eq!(titles("unpriced = 'skip'\n"), (vec![], 1));
    assert_eq!(titles("unpriced = 'fire'\n"), (vec!["moved ?".to_owned()], 0));
    assert_eq!(titles("unpriced = 'mark'\n"), (vec!["moved ? · unpriced".to_owned()], 0));
}
