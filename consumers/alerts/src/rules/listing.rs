//! Rules as people list them: what their files say, whether they are enabled or not.

use std::{collections::BTreeMap, path::Path};

use crypto_intel_schemas::Severity;
use serde::Serialize;
use toml::Spanned;

use super::{
    file::{self, RuleText},
    problem::SourceText,
};

/// A rule as its file says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedRule {
    /// Its id.
    pub id: String,
    /// What it is about, for people.
    pub description: Option<String>,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// How urgent its alerts are.
    pub severity: Severity,
    /// Subject patterns of the events that it reads.
    pub on: Vec<String>,
    /// Its condition, in CEL; absent where every event counts.
    pub when: Option<String>,
    /// event, first, sequence, window or absence.
    pub trigger: String,
    /// How long a condition must last, where it is about one.
    pub lasts: Option<String>,
    /// How long further matches of the same group are held back.
    pub cooldown: Option<String>,
    /// Fields by which events are told apart.
    pub group_by: Vec<String>,
    /// What routes match.
    pub labels: BTreeMap<String, String>,
    /// Destinations.
    pub routes: Vec<String>,
    /// Name of its file.
    pub file: String,
    /// Line of its id, from 1.
    pub line: usize,
    /// Its text, as it is in the file.
    pub text: String,
}

/// The rules of a file, in its order. What is wrong with it is left out.
pub(crate) fn listed(path: &Path, text: &str) -> Vec<ListedRule> {
    let rules = file::read(SourceText { path, text }, &mut Vec::new());
    let ends = rules.iter().skip(1).map(|next| beginning(text, next.id.span().start));
    let ends: Vec<usize> = ends.chain([text.len()]).collect();
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let file = file.unwrap_or_default();
    let whole = rules.iter().zip(ends).map(|(rule, end)| {
        let id = rule.id.span().start;
        let part = text.get(beginning(text, id)..end).unwrap_or(text);
        ListedRule {
            file: file.clone(),
            line: text.get(..id).unwrap_or_default().matches('\n').count() + 1,
            text: format!("{}\n", part.trim()),
            ..listed_rule(rule)
        }
    });
    whole.collect()
}

/// Where the rule begins whose id is at a place: at its header, which an example's is not.
fn beginning(text: &str, id: usize) -> usize {
    text.get(..id).and_then(|before| before.rfind("[[rule]]")).unwrap_or_default()
}

fn listed_rule(rule: &RuleText) -> ListedRule {
    let texts = |list: &[Spanned<String>]| -> Vec<String> {
        list.iter().map(|one| one.get_ref().clone()).collect()
    };
    let text = |one: &Option<Spanned<String>>| one.as_ref().map(|one| one.get_ref().clone());
    let labels = rule.labels.iter();
    ListedRule {
        id: rule.id.get_ref().clone(),
        description: rule.description.clone(),
        enabled: rule.enabled,
        severity: rule.severity,
        on: texts(&rule.on.get_ref().with_places(rule.on.span())),
        when: text(&rule.when).map(|when| when.trim().to_owned()),
        trigger: rule.trigger.kind().to_owned(),
        lasts: rule.trigger.lasts().map(str::to_owned),
        cooldown: text(&rule.cooldown),
        group_by: texts(&rule.group_by),
        labels: labels
            .map(|(key, value)| (key.get_ref().clone(), value.get_ref().clone()))
            .collect(),
        routes: texts(&rule.routes),
        file: String::new(),
        line: 0,
        text: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::DEFAULT_RULES;

    #[test]
    fn a_rule_is_listed_with_its_own_text() {
        let text = "# A comment.\n\n[[rule]]\nid = \"a\"\non = \"evm.*.block\"\nenabled = false\ntitle = \"x\"\n\n\
                    [[rule.example]]\nfires = true\nevents = [{}]\n\n[[rule]]\nid = \"b\"\n\
                    on = [\"evm.*.swap\", \"evm.*.liquidity\"]\nfor = \"5m\"\ntitle = \"y\"\nroutes = [\"ops\"]\n";
        let rules = listed(Path::new("/etc/rules/own.toml"), text);
        let [a, b] = rules.as_slice() else { panic!("{rules:?}") };
        assert_eq!(
            (a.id.as_str(), a.enabled, a.line, a.file.as_str()),
            ("a", false, 4, "own.toml")
        );
        assert!(a.text.starts_with("[[rule]]\nid = \"a\"") && a.text.ends_with("events = [{}]\n"));
        assert_eq!((b.on.len(), b.trigger.as_str(), b.lasts.as_deref()), (2, "event", Some("5m")));
        assert_eq!(b.text.lines().count(), 6);
    }

    #[test]
    fn the_text_of_each_shipped_rule_is_that_rule_again() {
        for (name, text) in DEFAULT_RULES {
            let rules = listed(Path::new(name), text);
            assert!(!rules.is_empty());
            for rule in rules {
                let again = listed(Path::new(name), &rule.text);
                let expected = ListedRule { line: again[0].line, ..rule.clone() };
                assert_eq!(again, [expected]);
            }
        }
    }
}
