//! Rule files, and rules in documents.

use std::collections::BTreeSet;

use super::*;
use crate::sets::load_rules;

#[test]
fn patterns_without_files_and_rules_that_tell_nobody_are_known() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), rule("id = 'a'\nroutes = ['ops']\n")).unwrap();
    std::fs::write(folder.path().join("b.toml"), rule("id = 'b'\n")).unwrap();
    let paths = [folder.path().join("*.toml"), folder.path().join("ruls/*.toml")];
    let rules = load_rules(&paths, Some(&["ops".to_owned()])).unwrap();
    assert_eq!((rules.files(), rules.ids().len()), (2, 2));
    assert_eq!(rules.unmatched(), &paths[1..]);
    assert_eq!(rules.without_routes(), ["b"]);
}

#[test]
fn files_are_found_by_pattern_and_disabled_rules_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.toml"), rule("id = 'b'\n")).unwrap();
    std::fs::write(folder.path().join("a.toml"), rule("id = 'a'\n")).unwrap();
    std::fs::write(folder.path().join("c.toml"), rule("id = 'c'\nenabled = false\n")).unwrap();
    std::fs::write(folder.path().join("notes.md"), "not a rule").unwrap();
    let pattern = [folder.path().join("*.toml")];
    assert_eq!(load_rules(&pattern, Some(&[])).unwrap().ids(), ["a", "b"]);
    std::fs::write(folder.path().join("c.toml"), rule("enabled = false\nwhen = 'x'\n")).unwrap();
    assert_eq!(load_rules(&pattern, Some(&[])).unwrap_err().len(), 1);
    let missing = load_rules(&[folder.path().join("none.toml")], Some(&[])).unwrap_err();
    assert!(missing[0].to_string().contains("cannot be read"), "{}", missing[0]);
}

#[test]
fn every_example_of_the_documentation_is_a_rule() {
    let text = include_str!("../../../README.md");
    let examples = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut found = BTreeSet::new();
    for example in examples.filter(|example| example.starts_with("[[rule]]")) {
        let destinations = ["ops".to_owned()];
        let rules = RuleSet::parse(&[("README.md", example)], Some(&destinations));
        let rules = rules.unwrap_or_else(|problems| panic!("{}", problems[0]));
        found.extend(rules.ids().into_iter().map(str::to_owned));
    }
    let triggers =
        ["exchange-inflow", "depeg", "passed-through", "chain-is-silent", "new-counterparty"];
    assert!(triggers.iter().all(|id| found.contains(*id)), "{found:?}");
}
