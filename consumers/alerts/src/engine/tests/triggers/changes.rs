//! Rules that change, and streams that begin again.

use super::{
    sequences::{SEQUENCE, transfer},
    *,
};
use crate::snapshot::in_memory::Memory;

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

#[test]
fn a_rule_that_counts_other_events_begins_again_and_one_that_says_it_otherwise_goes_on() {
    let sum = SUM.replace("of = \"value\"", "of = \"double(value) * 2.0\"");
    for (old, new, goes_on) in [
        (SUM, SUM.replace("moved", "sent"), true),
        (SUM, SUM.replace("trigger = ", "when = 'value > u256(\"1\")'\ntrigger = "), false),
        (SUM, SUM.replace("evm.*.transfer.erc20", "evm.base.transfer.erc20"), false),
        (&sum, sum.replace("* 2.0", " *   2.0"), true),
        (&sum, sum.replace("* 2.0", "* 1.0"), false),
    ] {
        let mut play = Play::new(old);
        pay(&mut play, 1, &[120]);
        assert_eq!(told(&mut play).len(), 1);
        play.switch(&new);
        play.tick();
        assert_eq!(told(&mut play).is_empty(), goes_on, "{new}");
    }
}

#[test]
fn a_sequence_with_another_step_begins_again() {
    for (changed, completes) in [
        (SEQUENCE.replace("came", "arrived"), true),
        (SEQUENCE.replacen("100", "140", 1), false),
        (SEQUENCE.replace("group_by = [\"from\"]", "group_by = [\"to\"]"), false),
    ] {
        let mut play = Play::new(SEQUENCE);
        transfer(&mut play, 1, 1, 1, &[(1, 9, 5, 150)]);
        play.switch(&changed);
        transfer(&mut play, 2, 2, 1, &[(3, 5, 5, 120)]);
        assert_eq!(told(&mut play).len(), usize::from(completes), "{changed}");
    }
}

#[test]
fn an_absence_that_must_last_longer_now_ends_until_it_does() {
    let absence = |seconds: u32| {
        format!(
            "[[rule]]\nid = 'silent'\non = 'evm.*.transfer.erc20'\ntrigger = 'absence'\ngroup_by = ['chain']\ntitle = '{{{{ silent_seconds }}}} s'\n[rule.absence]\nfor = '{seconds}s'\n"
        )
    };
    let mut play = Play::new(&absence(20));
    pay(&mut play, 1, &[1]);
    pass(&mut play, 25);
    assert_eq!(told(&mut play), ["fired 1 20 s"]);
    play.switch(&absence(60));
    pass(&mut play, 1);
    assert_eq!(told(&mut play), ["resolved 2 Ended: 20 s"]);
    pass(&mut play, 34);
    assert_eq!(told(&mut play), ["fired 1 60 s"]);
}
