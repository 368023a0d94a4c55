//! Rules whose conditions fail.

use super::*;
use crate::trial::Trial;

/// Its condition fails for events of block 0.
fn failing() -> String {
    RULE.replace("value >= u256(\"100\")", "10 / block_number > 100")
}

/// Its condition fails wherever `when` is true.
const WINDOW: &str = r#"
[[rule]]
id = "large"
on = "evm.*.transfer.erc20"
when = 'value >= u256("100")'
trigger = "window"
title = "{{ count }}"
[rule.window]
over = "1m"
having = "10 / (count - count) > 1"
"#;

fn set(rules: &str, digest: &str) -> Arc<RuleSet> {
    let rules = RuleSet::parse(&[("test.toml", rules)], None).unwrap();
    Arc::new(rules.with_digest(digest.to_owned()))
}

fn switch(play: &mut Play, rules: &str) {
    let digest = format!("{:016x}", rules.len());
    play.engine.switch(set(rules, &digest), &play.metrics, &mut play.alerts);
}

/// Events of block 0, for which `failing` fails, or with amounts that `WINDOW` counts.
fn fail(play: &mut Play, count: u8) {
    (1..=count).for_each(|transaction| play.events(0, 1, 1, &[(transaction, 0xa, 100)]));
}

fn unhealthy(play: &Play) -> i64 {
    play.metrics.rule("large").unhealthy.get()
}

/// State, number and title of what was said of failing rules.
fn said(play: &mut Play) -> Vec<String> {
    let alerts = play.take();
    assert!(alerts.iter().all(|alert| alert.rule == "rule-fails" && alert.ongoing), "{alerts:?}");
    let said = |alert: &Alert| format!("{} {} {}", alert.state.as_str(), alert.n, alert.title);
    alerts.iter().map(said).collect()
}

#[test]
fn a_rule_that_fails_again_and_again_is_called_unhealthy() {
    let mut play = Play::new(&RULE.replace("value >= u256(\"100\")", "10 / block_number > 1"));
    for transaction in 0..10 {
        assert_eq!(play.metrics.rule("large").unhealthy.get(), 0);
        play.events(0, 1, 1, &[(transaction, 0xa, 1)]);
    }
    assert_eq!(play.metrics.rule("large").unhealthy.get(), 1);
    assert_eq!(play.metrics.rule("large").errors.get(), 10);
    play.events(2, 2, 1, &[(1, 0xa, 1)]);
    assert_eq!(play.metrics.rule("large").unhealthy.get(), 0);
}

#[test]
fn a_rule_whose_trigger_fails_is_unhealthy_though_its_condition_works() {
    let mut play = Play::new(WINDOW);
    fail(&mut play, 9);
    assert_eq!(unhealthy(&play), 0);
    // For these it ends with the condition, which says nothing of the trigger.
    (1..=200).for_each(|transaction| play.events(0, 2, 1, &[(transaction, 0xa, 1)]));
    fail(&mut play, 1);
    assert_eq!(unhealthy(&play), 1);
    assert_eq!(said(&mut play), ["fired 1 Rule large fails"], "it is one trouble");
}

#[test]
fn a_rule_that_is_changed_is_healthy_until_it_fails_again() {
    let mut play = Play::new(&failing());
    fail(&mut play, 10);
    assert_eq!(unhealthy(&play), 1);
    switch(&mut play, RULE);
    assert_eq!(unhealthy(&play), 0);
    switch(&mut play, &failing());
    fail(&mut play, 10);
    assert_eq!(unhealthy(&play), 1);
    play.engine.reset();
    assert_eq!(unhealthy(&play), 0);
}

#[test]
fn what_was_told_of_a_failing_rule_ends_with_its_rule_set() {
    let other = RULE.replace("\"large\"", "\"other\"");
    for changed in [RULE, &failing().replace("> 100", "> 200"), &other] {
        let mut play = Play::new(&failing());
        fail(&mut play, 1);
        assert_eq!(said(&mut play), ["fired 1 Rule large fails"]);
        switch(&mut play, changed);
        play.tick();
        assert_eq!(said(&mut play), ["resolved 2 Ended: Rule large fails"]);
        play.tick();
        assert_eq!(said(&mut play), [""; 0]);
    }
    let mut play = Play::new(&failing());
    fail(&mut play, 1);
    play.engine.reset();
    play.tick();
    assert_eq!(said(&mut play), ["fired 1 Rule large fails", "resolved 2 Ended: Rule large fails"]);
}

#[test]
fn a_rule_that_fails_again_in_a_set_that_is_back_is_told_again() {
    let mut play = Play::new(&failing());
    let mut keys = std::collections::BTreeSet::new();
    for round in 1..4_u8 {
        play.now_us += SECOND;
        switch(&mut play, &failing());
        play.events(0, 1, 1, &[(round, 0xa, 100)]);
        keys.extend(play.take().into_iter().map(|alert| (alert.n, alert.alert)));
        switch(&mut play, RULE);
        play.tick();
        assert_eq!(play.take().len(), 1);
    }
    assert_eq!(keys.len(), 3, "each is an alert of its own: {keys:?}");
}

#[test]
fn a_trial_compares_what_rules_say_and_not_that_they_fail() {
    let trial = |rules: &str| {
        let mut play = Play::new(rules);
        fail(&mut play, 3);
        let mut trial = Trial::new(Arc::clone(&play.engine.rules), RuleStream::Evm).unwrap();
        for (now_us, subject, body) in &play.messages {
            trial.apply(&StreamMessage {
                subject: subject.clone(),
                schema: None,
                headers: None,
                payload: Bytes::from(body.clone()),
                sequence: 1,
                stored_at_us: *now_us,
                remaining: 0,
            });
        }
        trial
    };
    let silent = RULE.replace("100", "1000");
    let (old, new) = (trial(&failing()), trial(&silent));
    assert_eq!(old.findings()[0].errors, 3);
    assert!(old.compare(&new).is_empty(), "{:?}", old.compare(&new));
}

#[test]
fn a_rule_that_fails_is_told_once_until_it_worked_again() {
    let mut play = Play::new(&failing());
    let about = |play: &mut Play| {
        let told = |alert: &Alert| (alert.rule.clone(), alert.state, alert.n, alert.title.clone());
        play.take().iter().map(told).collect::<Vec<_>>()
    };
    let fails =
        |n: u32| ("rule-fails".to_owned(), AlertState::Fired, n, "Rule large fails".to_owned());
    (1..=3).for_each(|transaction| play.events(0, 1, 1, &[(transaction, 0xa, 1)]));
    assert_eq!(about(&mut play), [fails(1)]);
    // It works for some events and fails for others: that is one trouble.
    (1..=50).for_each(|transaction| play.events(2, 2, 1, &[(transaction, 0xa, 1)]));
    play.events(0, 3, 1, &[(9, 0xa, 1)]);
    assert_eq!(about(&mut play), []);
    (1..=100).for_each(|transaction| play.events(4, 4, 1, &[(transaction, 0xa, 1)]));
    let works =
        ("rule-fails".to_owned(), AlertState::Resolved, 2, "Rule large works again".to_owned());
    assert_eq!(about(&mut play), [works]);
    play.events(0, 5, 1, &[(9, 0xa, 1)]);
    assert_eq!(about(&mut play), [fails(1)], "another alert");
}
