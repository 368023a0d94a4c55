//! Rules about alerts.

use crypto_intel_schemas::Labels;

use super::*;

const ABOUT: &str = r#"
[[rule]]
id = "desk-is-busy"
on = "alert.critical.>"
when = 'labels["team"] == "desk" && state == "fired" && rule != "noise"'
severity = "critical"
title = "{{ rule }}: {{ title }}"
labels = { team = "desk" }
"#;

fn alert(rule: &str, severity: crypto_intel_schemas::Severity) -> Alert {
    Alert {
        id: format!("alert:{rule}:fired:1"),
        alert: rule.to_owned(),
        rule: rule.to_owned(),
        severity,
        title: "something".to_owned(),
        labels: Labels::from([("team", "desk")]),
        event_id: "base:0x1:transfer.erc20:1".to_owned(),
        ..Alert::at("alerts", START, START)
    }
}

#[test]
fn a_rule_hears_of_the_alerts_of_others_and_never_of_its_own() {
    use crypto_intel_schemas::Severity::{Critical, Info};
    let mut play = Play::new(ABOUT);
    for (rule, severity) in [("whale", Critical), ("noise", Critical), ("whale-info", Info)] {
        play.feed(alert(rule, severity));
    }
    let told = play.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].title, "whale: something", "names of the event count for more");
    // Its own alert is critical and of its team, too.
    play.feed(told[0].clone());
    // So is one of a rule about alerts that is no longer there.
    play.feed(Alert { rule: "older".to_owned(), ..told[0].clone() });
    assert_eq!(play.take(), []);
}
